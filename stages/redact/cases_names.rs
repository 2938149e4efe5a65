//! Names of two words in small letters behind a cue, and what only begins like them. One line = one case.

use super::cases::{clean, transcript};

/// A cue takes the whole name.
#[rustfmt::skip]
const NAMES: &[(&str, &str)] = &[
    ("hi this is sophy santino calling back", "hi this is <PERSON> calling back"),
    ("this is katarzyna wisniewska", "this is <PERSON>"),
    ("my name is priya raghunathan", "my name is <PERSON>"),
    ("i am oluwaseun adeyemi and i need help", "i am <PERSON> and i need help"),
    ("it's lars ingebrigtsen calling", "it's <PERSON> calling"),
    ("my name is john smith", "my name is <PERSON>"),
    ("my name is grace hill and i live nearby", "my name is <PERSON> and i live nearby"),
    ("i'm rose miller calling about my order", "i'm <PERSON> calling about my order"),
    ("this is mark taylor calling", "this is <PERSON> calling"),
    ("speaking with guadalupe hernandez", "speaking with <PERSON>"),
    ("hi sandeep how are you", "hi <PERSON> how are you"),
    ("hello sandeep krishnamurthy thanks for calling", "hello <PERSON> thanks for calling"),
    ("named wolfgang messerschmidt", "named <PERSON>"),
    ("signed by yevgenia markova", "signed by <PERSON>"),
    ("my name is maria del carmen ruiz", "my name is <PERSON>"),
    ("My name is Priya\nRaghunathan and so on", "My name is <PERSON> and so on"),
    ("this is Katarzyna\nWisniewska calling", "this is <PERSON> calling"),
    ("I spoke to Javier\nRodríguez yesterday", "I spoke to <PERSON> yesterday"),
    ("Dear Ferdinand\nKowalczyk, thanks", "Dear <PERSON>, thanks"),
    ("well my name is\nPriya Raghunathan", "well my name is\n<PERSON>"),
    ("my name's saoirse o'sullivan", "my name's <PERSON>"),
    ("name is thandiwe nkosi date of birth next", "name is <PERSON> date of birth next"),
];

/// Words that are no person's name.
#[rustfmt::skip]
const OTHERS: &[&str] = &[
    "this is good", "this is great news", "hi this is your bank", "this is the front desk", "i'm fine", "i am allergic to nuts",
    "it's raining", "hello everybody", "dear neighbours", "call me maybe", "my name is missing", "my name is spelled wrong",
    "speak to somebody in sales", "ask for a refund", "named after a flower", "thanks in advance", "regards to all",
    "hi this is great service", "i'm sorry i'm late", "it is monday morning", "this is quality assurance",
    "Full name\nAddress\nCity",
    "i am calling about the heating", "contact customer service", "talk to technical support",
];

#[test]
fn a_cue_takes_the_whole_name() {
    for (text, expected) in NAMES {
        transcript(text, expected);
        clean(text, expected);
    }
}

#[test]
fn what_is_no_name_stays() {
    for text in OTHERS {
        transcript(text, text);
        clean(text, text);
    }
}
