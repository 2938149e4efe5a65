//! Lines of forms, tickets, letters and logs of many countries. One line = one case.
//!
//! Labels in other languages, addresses told by their postcode, quoted values, sums of public bytes, makers and places.

use super::cases::clean;

/// Personal values.
#[rustfmt::skip]
const SOMEBODYS: &[(&str, &str)] = &[
    (r#""name":"siobhan of","age":3"#, r#""name":"<PERSON> of","age":3"#),
    ("Whatsapp +55 11 91234-5678 only please", "Whatsapp <PHONE> only please"),
    ("BSB 062-000 Acc 1044 7190", "BSB <BANK_ACCOUNT> Acc <BANK_ACCOUNT>"),
    ("IFSC HDFC0001234 a/c no. 50100447190281", "IFSC HDFC0001234 a/c no. <BANK_ACCOUNT>"),
    ("IBAN: DE41 8620 4513 1507 0483 00 BIC: DEUTDEDBBER", "IBAN: <IBAN> BIC: <BIC>"),
    ("compte BE63 6558 2071 3483, SWIFT/BIC GEBABEBB", "compte <IBAN>, SWIFT/BIC <BIC>"),
    ("Amex 3744 539088 35175, expires September 2027, CID 4471", "Amex <CARD>, expires <CARD_EXPIRY>, CID <CVV>"),
    ("docs at example.io/docs", "docs at <URL>"),
    ("Cisco 0050.56a3.7b1c", "Cisco <MAC>"),
    ("Aadhaar: 4083 3322 8540 PAN: ELNPB3489E", "Aadhaar: <IN_AADHAAR> PAN: <IN_PAN>"),
    ("Medicare no. 6466 62510 1", "Medicare no. <AU_MEDICARE>"),
    ("Thai ID 4-8915-45571-67-3", "Thai ID <TH_TNIN>"),
    ("CURP: HALD820623MMCCFL07", "CURP: <MX_CURP>"),
    ("api_key: \"5d8eac2baca956461e2107bbe838c2ad\"", "api_key: \"<API_KEY>\""),
    ("user=mkowalski logged in", "user=<USERNAME> logged in"),
    ("follow me @ana.lucia on insta", "follow me <USERNAME> on insta"),
    ("Ship to: Anneke de Vries, Keizersgracht 117, 1015 CJ Amsterdam", "Ship to: <PERSON>, <ADDRESS>"),
    ("Fiona MacDonald\n14 Kirkgate\nWakefield\nWF1 1TW", "<PERSON>\n<ADDRESS>"),
    ("Address: 12 Oakfields, Leeds LS1 4AP", "Address: <ADDRESS>"),
    ("Address: The Old Rectory, Church Lane, Aldham, Ipswich IP7 6NR", "Address: <ADDRESS> <POSTCODE>"),
    ("Home address - Flat 2/1, 47 Byres Rd, Glasgow G11 5RG", "Home address - <ADDRESS>"),
    ("Mailing address: RR 2 Box 118, Harlan, IA 51537", "Mailing address: <ADDRESS> <POSTCODE>"),
    ("1180 Rue Sherbrooke O., Montréal, QC H3A 1H6", "<ADDRESS>"),
    ("Flat No. 302, Lakshmi Nivas, 4th Cross, Jayanagar, Bengaluru - 560011", "<ADDRESS>"),
    ("Adress: Storgatan 14, 111 51 Stockholm", "Adress: <ADDRESS>, <POSTCODE> Stockholm"),
    ("Eircode: T12 W8KP", "Eircode: <POSTCODE>"),
    ("cc: Sarah O'Neill; Kwame Boateng", "cc: <PERSON>; <PERSON>"),
    ("Signed, E. J. Whitcombe", "Signed, <PERSON>"),
    ("Policy no: HP-662013-B", "Policy no: <NUMBER>"),
    ("Claim # CL2044819", "Claim # <NUMBER>"),
    ("Booking ref: X4T9Q2", "Booking ref: <NUMBER>"),
    ("\"name\":\"Ola Nordmann\",\"phone\":\"+47 22 12 34 56\",\"ip\":\"150.157.55.40\"", "\"name\":\"<PERSON>\",\"phone\":\"<PHONE>\",\"ip\":\"<IP>\""),
    ("Meine Handynummer ist 0171 2345678", "Meine Handynummer ist <PHONE>"),
    ("Mi número es el 612 345 678", "Mi número es el <PHONE>"),
    ("Meu telefone é (11) 91234-5678", "Meu telefone é <PHONE>"),
    ("Mój numer telefonu to 601 234 567", "Mój numer telefonu to <PHONE>"),
    ("Kontonummer: 0532013000 BLZ 37040044", "Kontonummer: <BANK_ACCOUNT> BLZ <BANK_ACCOUNT>"),
    ("RIB/IBAN FR84 4315 9926 1514 0653 3513 123 BIC BNPAFRPP", "RIB/IBAN <IBAN> BIC <BIC>"),
    ("Bank details: BSB 012-345, A/C No. 123456789", "Bank details: BSB <BANK_ACCOUNT>, A/C No. <BANK_ACCOUNT>"),
    ("CPF/CNPJ: 563.910.456-23", "CPF/CNPJ: <BR_CPF>"),
    ("clave CURP: CUCM820714HJCNGT04", "clave CURP: <MX_CURP>"),
    ("Driver Lic. B1234567", "Driver Lic. <DRIVING_LICENCE>"),
    ("Plate 8XYZ123 / VIN 5YJKK8XG8H0098120", "Plate <VEHICLE_PLATE> / VIN <VIN>"),
    ("Hospital No.: K882013", "Hospital No.: <MEDICAL_RECORD>"),
    ("client_secret: \"fyx0yC2L9IwZsIMXY6PSHwyFtPMCEsHy\"", "client_secret: \"<API_KEY>\""),
    ("{\"token\":\"mycOyHQzZtkOm4YbjuaBJpweNh7G\",\"ttl\":3600}", "{\"token\":\"<API_KEY>\",\"ttl\":3600}"),
    ("\"user\":\"svc_backup\",\"src\":\"115.163.71.29\"", "\"user\":\"<USERNAME>\",\"src\":\"<IP>\""),
    ("Sent from my iPhone\nRhys ap Gwilym", "Sent from my iPhone\n<PERSON>"),
    ("Hello Yusuf,", "Hello <PERSON>,"),
    ("Name: Hernández García, Lucía", "Name: <PERSON>"),
    ("Attending: Dr. R. Subramanian", "Attending: Dr. <PERSON>"),
    ("Address: 3 Hollybank, Didsbury, Manchester M20 2AA", "Address: <ADDRESS>"),
    ("Delivery address:\n27 Whitegates\nHarrogate\nHG1 2AB", "Delivery address:\n<ADDRESS>"),
    ("Prinsengracht 263, 1016 GV Amsterdam", "<ADDRESS>"),
    ("Dirección: Av. de la Constitución 22, 2º A, 41001 Sevilla", "Dirección: <ADDRESS>, <POSTCODE> Sevilla"),
    ("Policy #POL-2290-771", "Policy #<NUMBER>"),
    ("Patient is a 72-year-old woman.", "Patient is a <AGE>-year-old woman."),
    ("Medicare 2123 45670 1", "Medicare <AU_MEDICARE>"),
    ("patente AA0123456B", "patente <DRIVING_LICENCE>"),
    ("MRN: 7382910 DOB: 03/14/1952 Phone: (555) 019-2834", "MRN: <MEDICAL_RECORD> DOB: <DATE_OF_BIRTH> Phone: <PHONE>"),
    ("Employee: Joanna Bielska\nDept: Finance\nExt: 4417\nStart: 01.09.2025", "Employee: <PERSON>\nDept: Finance\nExt: <NUMBER>\nStart: <DATE>"),
    ("B-204, Green Park Extension, New Delhi 110016", "<ADDRESS> <POSTCODE>"),
    ("15 Kōwhai Rise, Tauranga 3110", "<ADDRESS>"),
    ("User tmiller_77 reported @dark.knight for spam", "User <USERNAME> reported <USERNAME> for spam"),
    ("device 352592091250969 SN C02XL0GSJGH5", "device <IMEI> SN C02XL0GSJGH5"),
    ("Vehicle: Toyota Yaris, BD51 SMR, VIN WBAV1BJF9PP562852", "Vehicle: Toyota Yaris, <VEHICLE_PLATE>, VIN <VIN>"),
    ("Kartennummer 5371 3387 8476 5343 gültig bis 11/27, Prüfnummer 318", "Kartennummer <CARD> gültig bis <CARD_EXPIRY>, Prüfnummer <CVV>"),
    ("tarjeta 4908 5776 7842 2678 caduca 05/28 CVV 204", "tarjeta <CARD> caduca <CARD_EXPIRY> CVV <CVV>"),
    ("N° carte 4889 0406 1818 7300 expire 02/29", "N° carte <CARD> expire <CARD_EXPIRY>"),
    ("codice carta 5508 3926 9667 4578, scadenza 12/26", "codice carta <CARD>, scadenza <CARD_EXPIRY>"),
    ("cartão 4403 8945 6439 3610, validade 07/30", "cartão <CARD>, validade <CARD_EXPIRY>"),
    ("numer karty 4756 3387 9744 2144 ważna do 08/28", "numer karty <CARD> ważna do <CARD_EXPIRY>"),
    ("Swift: COBADEFF, Konto 7788990011", "Swift: <BIC>, Konto <BANK_ACCOUNT>"),
    ("I live at 8 Brackenhurst with my sister.", "I live at <ADDRESS> with my sister."),
    ("Full name: M. Okonedo-Reid", "Full name: <PERSON>"),
    ("T: +44 161 496 0321 | M: +44 7700 900654 | rose@fairview.example", "T: <PHONE> | M: <PHONE> | <EMAIL>"),
    ("CC number 6011-9307-6260-3936, exp. date 9/28, code 415", "CC number <CARD>, exp. date <CARD_EXPIRY>, code <CVV>"),
    ("CURP MOBL790524HNLGPP07 | tel 55 1234 5678", "CURP <MX_CURP> | tel <PHONE>"),
    ("Chart # 55-1029", "Chart # <MEDICAL_RECORD>"),
    ("Driving Licence No CASTL 553128 H99AB", "Driving Licence No <DRIVING_LICENCE>"),
    ("Car: Ford Fiesta, YB19 ZKT", "Car: Ford Fiesta, <VEHICLE_PLATE>"),
    ("secret_key = 'pQsC5z4UkZCveOVxCvUVPBtUKiHEy6PjMxUw'", "secret_key = '<API_KEY>'"),
    ("Hi Siobhán, Declan asked me to send this.", "Hi <PERSON>, <PERSON> asked me to send this."),
    ("Prepared by A. N. Whitlock", "Prepared by <PERSON>"),
    ("Landlord: Rukhsana Begum", "Landlord: <PERSON>"),
    ("Anschrift: Lange Reihe 44, 20099 Hamburg", "Anschrift: <ADDRESS>, <POSTCODE> Hamburg"),
    ("Home: 9 Fernbrae, Perth PH2 0NQ", "Home: <ADDRESS>"),
];

/// Texts that only look personal.
#[rustfmt::skip]
const NOBODYS: &[&str] = &[
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 reverts it",
    "md5 d41d8cd98f00b204e9800998ecf8427e",
    "The Mr. Coffee BVMC-SJX33GT is a 12 cup machine.",
    "St. Patrick's Day is on 17 March.",
    "St. John's wort 300 mg, Johnson's baby oil",
    "Dr. Martens boots, size 9, oxblood",
    "Mrs. Butterworth's syrup and Mr. Clean wipes",
    "Uncle Ben's rice and Aunt Jemima pancakes",
    "Rose gold, Navy, Olive and Amber are in stock.",
    "Step 3 of 7: press F12, then Ctrl+Alt+Del",
    "Ford, Mercedes and Ferrari sold fewer cars",
    "Jack Daniel's, Johnnie Walker and Jim Beam",
    "Elm trees, Charity shops and Faith schools",
    "Marks & Spencer and John Lewis sales fell 2%",
    "The Ford Fiesta and Alfa Romeo Giulia were recalled.",
    "King Charles Spaniel puppies, 8 weeks",
    "Moody's and Morgan Stanley cut their outlook.",
    "Bunsen burner, Petri dish, Geiger counter",
    "Victoria Park, Queen Street and Albert Bridge are closed.",
    "Melbourne Cup, Davis Cup and Ryder Cup",
    "Black Friday, Good Friday and Easter Monday",
    "Johnson & Johnson, Procter & Gamble, Ernst & Young",
    "Heathrow Terminal 5, King's Cross, St Pancras",
    "Monte Carlo runs and Markov chains",
    "Ada, Julia and Ruby are programming languages",
    "Hurricane Katrina and Storm Ciara",
    "Taylor series and Newton's method converge",
    "Apollo 11, Gemini 4, Sputnik 1",
    "Cisco IOS 15.2(4)M",
    "St. George's Cross and Robin Hood",
];

#[test]
fn what_is_somebodys_goes() {
    for (text, expected) in SOMEBODYS {
        clean(text, expected);
    }
}

#[test]
fn what_is_nobodys_stays() {
    for text in NOBODYS {
        clean(text, text);
    }
}
