//! Values that are read aloud or disguised: letters explained by words, talk in the middle of a number, addresses letter by letter,
//! entities of HTML, lines that were wrapped. One line = one case.

use super::cases::{clean, transcript};

/// Spoken values.
#[rustfmt::skip]
const SAID: &[(&str, &str)] = &[
    ("write to s as in sierra, m like mother, t for tom at gmail dot com", "write to <EMAIL>"),
    ("my email is d delta, o, then n is in november at g mail dot c o dot u k", "my email is <EMAIL>"),
    ("mail me at snake, van, elephant, underscore, dog at sign proton mail dot com", "mail me at <EMAIL>"),
    ("my email is v wie Viktor, a comme Anatole, n di Napoli at web dot de", "my email is <EMAIL>"),
    ("my email is omar dot patel, that's o m a r dot p a t e l, at outlook dot com", "my email is <EMAIL>"),
    ("license plate p as in papa, b as in boston, five two, y as in yankee, k, o", "license plate <VEHICLE_PLATE>"),
    ("my plate is hannah laura two seven carla karen xavier did you get it", "my plate is <VEHICLE_PLATE> did you get it"),
    ("swift code is delta echo uniform tango delta echo foxtrot foxtrot", "swift code is <BIC>"),
    ("passport number orange, two two eight nine one three four", "passport number <PASSPORT>"),
    ("my iban is g for golf and b for bravo and two nine, let me see, n w b k six zero one six one three three one nine two six eight one nine", "my iban is <IBAN>"),
    ("my card is four five three nine uh let me see one four eight eight hang on the last bit is oh three four three six four six seven", "my card is <CARD>"),
    ("the card is 4539. one moment. 1488, the light is bad in here, 0343 is it yes 6467 thanks", "the card is <CARD> thanks"),
    ("my social is two one nine, I think it says, oh nine, and to finish, nine nine nine nine", "my social is <SSN>"),
    ("my number is four one five hang on five five five where was I oh one four two", "my number is <PHONE>"),
    ("card four, one, one, one, one, one, one, one, one, one, one, one, one, one, one, one, and the three on the back, one, two, three", "card <CARD>, and the three on the back, <CVV>"),
    ("go to h t t p s colon slash slash b r o w n dash o n l i n e dot c o dot u k forward slash user four oh two", "go to <URL>"),
    ("open w w w dot h, a, d, d, a, d dot n e t", "open <URL>"),
    ("ip is two hundred and eighteen dot one hundred dot 3 dot two three nine", "ip is <IP>"),
];

/// Texts that only sound like values.
#[rustfmt::skip]
const PLAIN_TALK: &[&str] = &[
    "we practise the alphabet, a as in apple, b as in ball, c as in cat",
    "Plan b, b for bob, is to fly delta to lima in november",
    "pat him on the back, one, two, three, lift",
    "my card is on the table next to the two keys and the three coins",
    "I said one, and then, you know, like, two or three times",
    "I met him (at) the pub and he said stop (dot) that is all",
];

/// Written values.
#[rustfmt::skip]
const WRITTEN: &[(&str, &str)] = &[
    ("call &#43;1 415 555 0143 now", "call <PHONE> now"),
    ("mail jo&commat;example&period;com or ring 98765&nbsp;43210", "mail <EMAIL> or ring <PHONE>"),
    ("jo [at] example [dot] com, jo{at}example.org", "<EMAIL>, <EMAIL>"),
    ("seen at hxxps://login[.]example(dot)com/a and 10[.]4[.]22[.]7", "seen at <URL> and <IP>"),
    ("Rufen Sie uns unter 030 23125-017 oder 0171/3920012 an", "Rufen Sie uns unter <PHONE> oder <PHONE> an"),
    ("reach him on 98765 43210", "reach him on <PHONE>"),
    ("my card is 4539 1488\n0343 6467, thanks", "my card is <CARD>, thanks"),
    ("my number is +1\n415 555 0143.", "my number is <PHONE>."),
    ("IBAN GB29 NWBK 6016\n1331 9268 19", "IBAN <IBAN>"),
    ("SSN 219-\n09-9999", "SSN <SSN>"),
];

#[test]
fn what_is_read_aloud_is_found() {
    for (said, expected) in SAID {
        transcript(said, expected);
    }
}

#[test]
fn plain_talk_stays() {
    for said in PLAIN_TALK {
        transcript(said, said);
    }
}

#[test]
fn what_is_disguised_or_wrapped_is_found() {
    for (written, expected) in WRITTEN {
        clean(written, expected);
    }
}
