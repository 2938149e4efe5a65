//! Texts and what the redactor makes of them. One line = one case.

use super::kind::{Entities, Entity};
use super::scanner::{Profile, Scanner, Style};

#[track_caller]
fn check_in(profile: Profile, text: &str, expected: &str) {
    let scanner = Scanner::new(profile, Style::Tag, Entities::usual());
    assert_eq!(scanner.redact(text).text, expected, "{text:?} in {profile:?}");
}

/// In both profiles.
#[track_caller]
fn check(text: &str, expected: &str) {
    check_in(Profile::Transcript, text, expected);
    check_in(Profile::Text, text, expected);
}

#[track_caller]
pub fn transcript(text: &str, expected: &str) {
    check_in(Profile::Transcript, text, expected);
}

#[track_caller]
pub fn clean(text: &str, expected: &str) {
    check_in(Profile::Text, text, expected);
}

/// Nothing is found in either profile.
#[track_caller]
fn keep(text: &str) {
    check(text, text);
}

#[test]
fn email_written() {
    check("write to john.doe@example.com.", "write to <EMAIL>.");
    check("<a.b+c@x-y.co.uk>, ok", "<<EMAIL>>, ok");
    check("Ask JANE_DOE99@MAIL.EXAMPLE.ORG!", "Ask <EMAIL>!");
    check("müller@straße.de schreibt", "<EMAIL> schreibt");
    check("user%x@host.museum.com,second@b.io", "<EMAIL>,<EMAIL>");
    check("o'brien@example.ie is it", "<EMAIL> is it");
    check("root@localhost has mail", "<EMAIL> has mail");
}

#[test]
fn email_spoken() {
    check("my email is john dot doe at example dot com", "my email is <EMAIL>");
    check("it's jane underscore smith at gmail dot com, thanks", "it's <EMAIL>, thanks");
    check("send it to j o h n at mail dot example dot org please", "send it to <EMAIL> please");
    check("john doe forty two at yahoo dot co dot uk", "<EMAIL>");
    check("the results go to clinic dash desk at example dot com", "the results go to <EMAIL>");
    check("mary dash ann at blue sky dot net", "<EMAIL>");
    check("bob one two three at example dot c o m", "<EMAIL>");
    transcript("john, dot, doe, at example dot com", "<EMAIL>");
    transcript("you can reach me at john dot doe at example.com", "you can reach me at <EMAIL>");
}

#[test]
fn email_misheard() {
    transcript("Reach me at john.dohedexample.com please.", "Reach me at <EMAIL> please.");
    transcript("My email is john.doe.example.com.", "My email is <EMAIL>.");
    transcript("my email is j-o-h-n at gmail.com", "my email is <EMAIL>");
    transcript("e-mail John Doe at example.com", "e-mail <EMAIL>");
    transcript("my e-mail is johndoe at gmail", "my e-mail is <EMAIL>");
    transcript("email me at john doe@example.com", "email me at <EMAIL>");
    transcript("her email is mary at example. com", "her email is <EMAIL>");
    transcript("it's john at example com, my email", "it's <PERSON> at example com, my email");
    transcript("You can write to me at John.Do at example.com.", "You can write to me at <EMAIL>.");
    transcript("The results go to clinic-desk at example.org.", "The results go to <EMAIL>.");
    transcript("my email is john at example com", "my email is <EMAIL>");
}

#[test]
fn web_addresses() {
    check("see https://example.com/a?b=c#d.", "see <URL>.");
    check("(www.example.org)", "(<URL>)");
    check("at example.co.uk/path, yes", "at <URL>, yes");
    check("go to w w w dot example dot com", "go to <URL>");
    check("h t t p s colon slash slash example dot d e", "<URL>");
    check("my website is shop example dot net", "my website is <URL>");
    check("ftp://files.example.com/x", "<URL>");
    keep("main.rs and node.js and README.md");
    keep("it is done.It was late");
    keep("look at the dot on the left");
    keep("she stared at me, dot dot dot, and said nothing");
}

#[test]
fn ip_addresses() {
    check("host 192.168.1.10 answers", "host <IP> answers");
    check("from 10.0.0.1, 10.0.0.2", "from <IP>, <IP>");
    check("one ninety two dot one sixty eight dot one dot ten", "<IP>");
    check("2001:db8::8a2e:370:7334 is up", "<IP> is up");
    check("fe80::1.", "<IP>.");
    check("e::Sc@ne;", "e::<EMAIL>;");
    check("e::<EMAIL> or <EMAIL>::e", "e::<EMAIL> or <EMAIL>::e");
    keep("version 1.2.3.4 is out");
    keep("at 12:30:45 sharp");
}

#[test]
fn phones() {
    check("call 555-0147", "call <PHONE>");
    check("(212) 555-0147", "<PHONE>");
    check("+1 212 555 0147", "<PHONE>");
    check("+44 (0)20 7946 0018", "<PHONE>");
    check("tel. 0049 30 901820", "tel. <PHONE>");
    check("212.555.0147 ext. 12", "<PHONE>");
    check("call me at five five five, oh one two three four", "call me at <PHONE>");
    check("my number is double seven five, triple oh, twenty one", "my number is <PHONE>");
    check("one eight hundred, five five five, twelve twelve", "<PHONE>");
    check("ring plus four four two oh seven nine four six double oh one eight", "ring <PHONE>");
    check("two one two, five five five, oh one four seven", "<PHONE>");
    transcript("my number is 822-461 for 162.", "my number is <PHONE>.");
    transcript("5, 5, 5. 0, 1, 4, 7.", "<NUMBER>.");
    transcript("call 555 oh 147, uh, then 22", "call <PHONE>");
    transcript("reach me at 555", "reach me at <NUMBER>");
}

#[test]
fn cards() {
    check("card 4111111111111111o4111111111111111", "card <CARD>");
    check("card 4539 1488 0343 6467", "card <CARD>");
    check("4539148803436467", "<CARD>");
    check("3782 822463 10005 amex", "<CARD> amex");
    check("my card number is 4539-1488-0343-646", "my card number is <CARD>");
    check("four five three nine one four eight eight oh three four three six four six seven", "<CARD>");
    check(
        "forty five thirty nine fourteen eighty eight zero three forty three sixty four sixty seven",
        "<CARD>",
    );
    transcript("It is 4539-148-03436467.", "It is <NUMBER>.");
    transcript("My card is 4539-148-03436467.", "My card is <CARD>.");
    transcript("my card: 4904040", "my card: <NUMBER>");
    transcript("card 4539, 1488. 0343? 6467!", "card <CARD>!");
}

#[test]
fn social_security() {
    check("SSN 078-05-1120", "SSN <SSN>");
    check("social security number: 078 05 1120", "social security number: <SSN>");
    check("my social is oh seven eight, oh five, one one two oh", "my social is <SSN>");
    check("078-05-1120", "<SSN>");
    transcript("my social is 078-051-120", "my social is <SSN>");
    transcript("O78-05-1120", "<SSN>");
    keep("my social life is zero, my security is nine to five");
}

#[test]
fn ibans() {
    check("IBAN GB29 NWBK 6016 1331 9268 19.", "IBAN <IBAN>.");
    check("DE89370400440532013000", "<IBAN>");
    check("fr14 2004 1010 0505 0001 3m02 606", "<IBAN>");
    check(
        "my iban is g b two nine n w b k six oh one six one three three one nine two six eight one nine",
        "my iban is <IBAN>",
    );
    transcript("GB-29, N-W-B-K, 60-16-13-31-92-68-19", "<IBAN>");
    transcript("iban GB29 NWBK 6016 1331 9268", "iban <IBAN>");
}

#[test]
fn dates() {
    check("born 2/8/1935 in", "born <DATE_OF_BIRTH> in");
    check("on 1978-04-13 12:20:39 sharp", "on <DATE> sharp");
    check("12.05.1999", "<DATE>");
    check("March 3rd, 1985 and 3 March 1985", "<DATE> and <DATE>");
    check("the third of March nineteen eighty five", "<DATE>");
    check("march twenty first two thousand and four", "<DATE>");
    check("my date of birth is March 3", "my date of birth is <DATE_OF_BIRTH>");
    check("born in May 1985", "born in <DATE_OF_BIRTH>");
    transcript("my date of birth is oh three, twelve, eighty five", "my date of birth is <DATE_OF_BIRTH>");
    transcript("Born March 3rd, 19, 85.", "Born <DATE_OF_BIRTH>.");
    keep("in May 1985 we met");
    keep("see you on March 3rd");
    keep("from 1990 to 2004, in 2019, 2020 and 2021");
}

#[test]
fn context_widens() {
    check("my pin is four three two one", "my pin is <PIN>");
    check("account number is 4 5 5", "account number is <NUMBER>");
    check("zip code 90210", "zip code <POSTCODE>");
    check("driver's license number is F162823540116", "driver's license number is <DRIVING_LICENCE>");
    check("passport x1234567", "passport <PASSPORT>");
    check("card ending in 6467", "card ending in <NUMBER>");
    check("the account is in good standing", "the account is in good standing");
    transcript("confirmation code is A B 5 5 1 2", "confirmation code is <NUMBER>");
    keep("call me in 300 seconds");
    keep("the account has 450 dollars");
    keep("call me at 10:30");
}

#[test]
fn transcripts_take_six_digits() {
    transcript("it's 482019, thanks", "it's <NUMBER>, thanks");
    transcript("yeah 4829130", "yeah <NUMBER>");
    transcript("four eight two oh one nine", "<NUMBER>");
    transcript("822-461 for 162", "<PHONE>");
    transcript("822 to 461", "<NUMBER>");
    transcript("8 ate 2 2 for 6 1", "<NUMBER>");
    transcript("48 20 won 9 3", "<NUMBER>");
    transcript("my number is 212 apples 555 and 0147", "my number is <PHONE>");
    transcript(
        "Read me the card for triple 0, 0, 5, double, 6, 5, 5, double, 6, triple, 5, 6.",
        "Read me the card for <CARD>.",
    );
    transcript("Text the driver at 0-007-W-O 9-W-O 4-6-1", "Text the driver at <PHONE>");
    transcript(
        "The card was declined for 539 148 go 3 4 3 6 4 6 8",
        "The card was declined for <NUMBER> go <NUMBER>",
    );
    keep("it said 482019 on the box");
    clean("four eight two oh one nine", "four eight two oh one nine");
}

#[test]
fn quantities_stay() {
    keep("That is $1,234,567.89 or EUR 3,758,41 plus 67 percent");
    keep("sold 1,234,567 units and 250,000 dollars worth");
    keep("fifty four thousand four hundred and sixty eight pounds");
    keep("1500 to 2000 people, 100,000 euros, £250000");
    keep("edges 0.48/0.28, load 0.34, 0.56, 1.22 after 4:23:45");
    keep("pi is three point one four one five nine two six");
    keep("pi is 3.14159265");
    keep("1, 2, 3, 4, 5, 6, 7, 8, 9, 10");
    keep("count one two three four five six seven");
    keep("she won six four, three six, seven five");
    keep("the score was 21-19, 18-21, 21-17");
    keep("firmware v61.78.542 and part no. AB-47510-7");
    keep("error 0x80077750 in module kernel69.dll");
    keep("a seven three seven eight hundred");
    keep("ISO 9001, IEC 61508 and RFC 8259");
    keep("In 2019, 300 people came");
    keep("at 10:30 pm, 7:15 a.m., 14:23:45");
    keep("it weighs two point eight two two kilograms");
    keep("The plot is 74 m x 55 m, roughly 8,990 sq ft.");
}

#[test]
fn lines_and_other_scripts() {
    check("phone:\n467 3395\nmail", "phone:\n<PHONE>\nmail");
    check("電話番号は 03-1234-5678 です", "電話番号は <PHONE> です");
    check("call ０３-１２３４-５６７８", "call <PHONE>");
    transcript("اتصل ٠١٢٣٤٥٦٧٨٩", "اتصل <PHONE>");
    check("call 555–0147", "call <PHONE>");
    transcript("5\u{200b}5\u{200b}5\u{200b}0\u{200b}1\u{200b}4\u{200b}7", "<NUMBER>");
    keep("e\u{301}\u{301}\u{301} 🦀 x");
    keep("");
}

#[test]
fn tags_stay_and_tell_nothing() {
    keep("<PHONE> and 12 people in room 305, <EMAIL> dot com");
    keep("<CARD> 12");
}

#[test]
fn style_num_writes_num_for_digits() {
    let scanner = Scanner::new(Profile::Transcript, Style::Num, Entities::usual());
    let text = "555-867-5309, a@b.com, 078-05-1120, 1/2/1985, 10.0.0.1";
    assert_eq!(scanner.redact(text).text, "<NUMBER>, <EMAIL>, <NUMBER>, <NUMBER>, <NUMBER>");
}

#[test]
fn kinds_that_are_not_wanted_stay_but_numbers_are_numbers() {
    let only =
        |kinds: &[Entity]| Scanner::new(Profile::Transcript, Style::Tag, kinds.iter().copied().collect());
    let text = "SSN 078-05-1120, a@b.com";
    assert_eq!(only(&[Entity::Email]).redact(text).text, "SSN 078-05-1120, <EMAIL>");
    assert_eq!(only(&[Entity::Number]).redact(text).text, "SSN <NUMBER>, a@b.com");
    assert_eq!(only(&[Entity::Ssn, Entity::Number]).redact(text).text, "SSN <SSN>, a@b.com");
}
