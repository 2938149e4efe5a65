//! Utterances of callers, patients and speakers at home, as recognisers write them. One line = one case.
//!
//! Addresses without a word for a street, explained letters, spelled names of kinds, brands and songs.

use super::cases::transcript;

/// Personal values.
#[rustfmt::skip]
const SOMEBODYS: &[(&str, &str)] = &[
    ("Okay so the sixteen digits are 4-3-8-2-1-1-9-2-7-4-1-7-7-6-6-4 and the three on the back are four one eight.", "Okay so the sixteen digits are <CARD> and the three on the back are <CVV>."),
    ("I've got the one ending 9917 on file, do you want to use that?", "I've got the one ending <NUMBER> on file, do you want to use that?"),
    ("My e-mail is j as in juliet, o as in oscar, at gmail dot com.", "My e-mail is <EMAIL>."),
    ("Send it to liam dash byrne at proton dot me and cc info at harborlight dot ie.", "Send it to <EMAIL> and cc <EMAIL>."),
    ("that's b for bravo, e for echo, n for november, nine nine at yahoo dot com", "that's <EMAIL>"),
    ("the site is harbor light dot org, forward slash help", "the site is <URL>, forward slash help"),
    ("we're at dub dub dub dot kestrel bikes dot co dot uk", "we're at <URL>"),
    ("my i tin is nine three nine, nine zero, zero one zero three", "my i tin is <ITIN>"),
    ("the swift code is d e u t d e f f", "the swift code is <BIC>"),
    ("Hi, I'm Rajesh calling about my boiler.", "Hi, I'm <PERSON> calling about my boiler."),
    ("my name's Bartosz Wisniewski, that's w i s n i e w s k i", "my name's <PERSON>, that's <PERSON>"),
    ("my daughter Eilidh has a temperature", "my daughter <PERSON> has a temperature"),
    ("I live at 14 Kirkgate", "I live at <ADDRESS>"),
    ("the address is 12 Oakfields, Leeds, LS1 4AP", "the address is <ADDRESS>"),
    ("pick me up from 7 Saltergate at half five", "pick me up from <ADDRESS> at half five"),
    ("eircode D02 X285", "eircode <POSTCODE>"),
    ("number plate AB12 CDE, a blue Corsa", "number plate <VEHICLE_PLATE>, a blue Corsa"),
    ("star hash oh six hash gave me 357243712033542", "star hash oh six hash gave me <IMEI>"),
    ("the MAC address is d f colon b 5 colon 8 9 colon 7 3 colon d d colon 9 a", "the MAC address is <MAC>"),
    ("Medicare card six two four six, seven eight four four nine, one", "Medicare card <AU_MEDICARE>"),
    ("D N I 5 2 8 1 1 1 9 5 K", "D N I <ES_NIF>"),
    ("my CURP is H O L G 6 4 0 8 1 7 M N L N T T 0 8", "my CURP is <MX_CURP>"),
    ("N P I one three five three seven zero zero two seven five", "N P I <NPI>"),
    ("latitude forty point seven one two eight, longitude minus seventy four point zero zero six", "latitude <COORDINATES>, longitude <COORDINATES>"),
    ("user name jbloggs42 on the portal", "user name <USERNAME> on the portal"),
    ("login is mkhan and the password is sunshine ninety nine", "login is <USERNAME> and the password is <API_KEY>"),
    ("patient name Maureen O'Donnell comma MRN 5 5 0 1 7 7 3", "patient name <PERSON> comma MRN <MEDICAL_RECORD>"),
    ("Cab for Donnelly, 23 Ferry Quay Street", "Cab for <PERSON>, <ADDRESS>"),
    ("can you bring it to apartment 12 C, 450 West 33rd Street", "can you bring it to <ADDRESS>"),
    ("The card I booked with is five five five three, zero five five three, five nine nine two, one seven zero one, expiry four twenty nine.", "The card I booked with is <CARD>, expiry <CARD_EXPIRY>."),
    ("the last three on the reverse, two one oh", "the last three on the reverse, <CVV>"),
    ("it goes 45053057 22126803 and it expires November twenty eight", "it goes <NUMBER> and it expires <CARD_EXPIRY>"),
    ("My building society roll number is 7425815355", "My building society roll number is <BANK_ACCOUNT>"),
    ("the email's g as in golf, r as in romeo, a as in alpha, y as in yankee, at yahoo dot co dot uk", "the email's <EMAIL>"),
    ("send the invoice to accounts at brightspark dot energy", "send the invoice to <EMAIL>"),
    ("Our web page is greenfield vets dot co dot uk", "Our web page is <URL>"),
    ("details at council dot gov dot uk slash bins", "details at <URL>"),
    ("MAC is zero zero colon one a colon two b colon three c colon four d colon five e", "MAC is <MAC>"),
    ("We live at 7 Whitegates, just past the church", "We live at <ADDRESS>, just past the church"),
    ("delivery to unit 9, Eastgate Business Park", "delivery to <ADDRESS>"),
    ("the property is 3 Hollybank, Didsbury", "the property is <ADDRESS>, Didsbury"),
    ("send the engineer to one oh four Queens Parade", "send the engineer to <ADDRESS>"),
    ("my eircode is A 6 5 F 4 E 2", "my eircode is <POSTCODE>"),
    ("My driving licence is GALLA 610236 E99KP", "My driving licence is <DRIVING_LICENCE>"),
    ("registration YK68 LMO", "registration <VEHICLE_PLATE>"),
    ("N I F 67 628 529 L", "N I F <ES_NIF>"),
    ("seven kilo papa lima four four two is on the form", "<NUMBER> is on the form"),
    ("postcode is S w one a one a a", "postcode is <POSTCODE>"),
    ("licence number morga seven five three one one six s m nine i j", "licence number <DRIVING_LICENCE>"),
    ("my name is will baker and I live here", "my name is <PERSON> and I live here"),
    ("jot this down, four four nine two one oh eight", "jot this down, <NUMBER>"),
    ("C U R P victor oscar bravo bravo six four one zero two eight hotel november lima delta foxtrot foxtrot zero five", "C U R P <MX_CURP>"),
    ("P I N is two seven five zero", "P I N is <PIN>"),
    ("the password is tulip fifty five", "the password is <API_KEY>"),
    ("my CVV code is nine nine two and it runs out in oh three thirty one", "my CVV code is <CVV> and it runs out in <CARD_EXPIRY>"),
    ("the web address is w w w dot blue otter dot co dot nz", "the web address is <URL>"),
    ("pick me up at 29 Kingsway, not the one in town", "pick me up at <ADDRESS>, not the one in town"),
    ("car's a silver Golf, MK14 ABV", "car's a silver Golf, <VEHICLE_PLATE>"),
    ("it's 62 Langsett Rise, S6 area", "it's <ADDRESS>, S6 area"),
    ("drop off at 4 Cornmarket", "drop off at <ADDRESS>"),
    ("n as in november, o as in oscar, r as in romeo, a as in alpha at gmail dot com", "<EMAIL>"),
    ("the security code, it's on the back, seven oh three", "the security code, it's on the back, <CVV>"),
    ("expiry March twenty nine", "expiry <CARD_EXPIRY>"),
    ("password's monkey seventy seven", "password's <API_KEY>"),
    ("my card's about to expire, new one is 4321 7826 3936 1572 with ten thirty", "my card's about to expire, new one is <CARD> with <NUMBER>"),
    ("expires end of 06/29", "expires end of <CARD_EXPIRY>"),
    ("the tax ID for the business is one two, seven four eight four six five two", "the tax ID for the business is <EIN>"),
    ("it's zoe 1 2 3 @ gmail.com", "it's <EMAIL>"),
    ("c for charlie, h for hotel, e for echo, w for whiskey at me dot com", "<EMAIL>"),
    ("Hello Zainab, thanks for holding", "Hello <PERSON>, thanks for holding"),
    ("our son Caoimhín is eight", "our son <PERSON> is eight"),
    ("the delivery address is 77 Sandygate, upstairs", "the delivery address is <ADDRESS>, upstairs"),
    ("my car is DK07 YRB", "my car is <VEHICLE_PLATE>"),
    ("NHS 2 2 2 8 4 6 6 6 1 1", "NHS <UK_NHS>"),
    ("Aadhaar card is five six six six two zero two two six three seven zero", "Aadhaar card is <IN_AADHAAR>"),
    ("P A N g f k p g 2 3 7 9 m", "P A N <IN_PAN>"),
    ("the booking ref is kilo lima mike four two nine", "the booking ref is <NUMBER>"),
];

/// Texts that only look personal.
#[rustfmt::skip]
const NOBODYS: &[&str] = &[
    "upgrade to Python 3.12.4 first",
    "Mr. Coffee makes a decent machine",
    "are you going out for St. Patrick's Day?",
    "happy Valentine's Day everyone",
    "I love Dr Pepper",
    "I bought a Mini Cooper and a John Deere tractor",
    "play Hey Jude by the Beatles",
    "put on Angie, no, put on Layla",
    "play Roxanne on the kitchen speaker",
    "at two dot com boom levels, they said",
    "it's Summer, April and May are lovely here",
    "I like Jasmine tea and Ginger biscuits",
    "Olive oil and Basil on the Rosemary focaccia",
    "Chase bank and Wells Fargo both declined it",
    "Victoria station to King's Cross",
    "ask Siri or Alexa",
    "I'm Polish and my husband is Irish",
    "press one for English, two for Spanish",
    "a Caesar salad and an Earl Grey tea",
    "we went to St. Andrews and then Loch Ness",
    "he wears Levi's and Dr. Martens",
    "is it Mrs. Brown's Boys tonight?",
    "our dog's a Jack Russell and the cat's a Russian Blue",
    "let's go to Nando's or Wendy's",
    "Dr. Oetker pizza is two for five pounds",
    "go to Marks and Spencer or John Lewis",
    "Will Amber Alert texts ever stop",
    "Rose petals, Lily pads and Daisy chains",
    "oh Christ, not again",
    "for Pete's sake",
    "the Big Mac meal with a Dr Pepper",
    "that's Murphy's law",
    "ring me at four thirty",
    "Mr. Speaker, I beg to move",
    "Mr. President, thank you",
    "Captain America and Iron Man",
    "King's College and Queen's Park",
];

#[test]
fn what_is_somebodys_goes() {
    for (text, expected) in SOMEBODYS {
        transcript(text, expected);
    }
}

#[test]
fn what_is_nobodys_stays() {
    for text in NOBODYS {
        transcript(text, text);
    }
}
