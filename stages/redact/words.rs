//! The word lists. One row = one role or one number; everything else is derived from them.

use super::lexicon::Flags;
use super::lexicon::Sense::{self, Digit, Homophone, Hundred, Month, Ordinal, Repeat, Scale, Teen, Ten};

/// Words that say numbers, and words that recognisers write for them.
#[rustfmt::skip]
pub const NUMBERS: &[(&str, Sense)] = &[
    ("zero", Digit(0)), ("oh", Digit(0)), ("o", Digit(0)), ("nought", Digit(0)), ("naught", Digit(0)), ("aught", Digit(0)),
    ("one", Digit(1)), ("two", Digit(2)), ("three", Digit(3)), ("four", Digit(4)), ("five", Digit(5)),
    ("six", Digit(6)), ("seven", Digit(7)), ("eight", Digit(8)), ("nine", Digit(9)), ("niner", Digit(9)),
    ("ten", Teen(10)), ("eleven", Teen(11)), ("twelve", Teen(12)), ("thirteen", Teen(13)), ("fourteen", Teen(14)),
    ("fifteen", Teen(15)), ("sixteen", Teen(16)), ("seventeen", Teen(17)), ("eighteen", Teen(18)),
    ("nineteen", Teen(19)),
    ("twenty", Ten(20)), ("thirty", Ten(30)), ("forty", Ten(40)), ("fourty", Ten(40)), ("fifty", Ten(50)),
    ("sixty", Ten(60)), ("seventy", Ten(70)), ("eighty", Ten(80)), ("ninety", Ten(90)),
    ("hundred", Hundred), ("thousand", Scale), ("million", Scale), ("billion", Scale),
    ("double", Repeat(2)), ("triple", Repeat(3)), ("treble", Repeat(3)), ("quadruple", Repeat(4)),
    ("or", Homophone(0)), ("owe", Homophone(0)), ("ohh", Homophone(0)), ("won", Homophone(1)), ("wun", Homophone(1)),
    ("to", Homophone(2)), ("too", Homophone(2)), ("tu", Homophone(2)), ("tree", Homophone(3)), ("free", Homophone(3)),
    ("for", Homophone(4)), ("fore", Homophone(4)), ("fife", Homophone(5)), ("sex", Homophone(6)),
    ("sicks", Homophone(6)), ("ate", Homophone(8)), ("nein", Homophone(9)), ("ought", Homophone(0)), ("nil", Homophone(0)), ("sero", Homophone(0)),
    ("fower", Homophone(4)), ("quad", Repeat(4)), ("ohs", Homophone(0)),
    ("first", Ordinal(1)), ("second", Ordinal(2)), ("third", Ordinal(3)), ("fourth", Ordinal(4)),
    ("fifth", Ordinal(5)), ("sixth", Ordinal(6)), ("seventh", Ordinal(7)), ("eighth", Ordinal(8)),
    ("ninth", Ordinal(9)), ("tenth", Ordinal(10)), ("eleventh", Ordinal(11)), ("twelfth", Ordinal(12)),
    ("thirteenth", Ordinal(13)), ("fourteenth", Ordinal(14)), ("fifteenth", Ordinal(15)),
    ("sixteenth", Ordinal(16)), ("seventeenth", Ordinal(17)), ("eighteenth", Ordinal(18)),
    ("nineteenth", Ordinal(19)), ("twentieth", Ordinal(20)), ("thirtieth", Ordinal(30)),
    ("january", Month(1)), ("jan", Month(1)), ("february", Month(2)), ("feb", Month(2)), ("march", Month(3)),
    ("mar", Month(3)), ("april", Month(4)), ("apr", Month(4)), ("may", Month(5)), ("june", Month(6)),
    ("jun", Month(6)), ("july", Month(7)), ("jul", Month(7)), ("august", Month(8)), ("aug", Month(8)),
    ("september", Month(9)), ("sep", Month(9)), ("sept", Month(9)), ("october", Month(10)), ("oct", Month(10)),
    ("november", Month(11)), ("nov", Month(11)), ("december", Month(12)), ("dec", Month(12)),
    ("januar", Month(13)), ("februar", Month(14)), ("märz", Month(15)), ("mai", Month(17)), ("juni", Month(18)), ("juli", Month(19)),
    ("oktober", Month(22)), ("dezember", Month(24)), ("janvier", Month(13)), ("février", Month(14)), ("fevrier", Month(14)), ("mars", Month(15)),
    ("avril", Month(16)), ("juin", Month(18)), ("juillet", Month(19)), ("août", Month(20)), ("aout", Month(20)), ("septembre", Month(21)),
    ("octobre", Month(22)), ("novembre", Month(23)), ("décembre", Month(24)), ("decembre", Month(24)), ("enero", Month(13)),
    ("febrero", Month(14)), ("marzo", Month(15)), ("abril", Month(16)), ("mayo", Month(17)), ("junio", Month(18)), ("julio", Month(19)),
    ("agosto", Month(20)), ("septiembre", Month(21)), ("octubre", Month(22)), ("noviembre", Month(23)), ("diciembre", Month(24)),
    ("gennaio", Month(13)), ("febbraio", Month(14)), ("aprile", Month(16)), ("maggio", Month(17)), ("giugno", Month(18)),
    ("luglio", Month(19)), ("settembre", Month(21)), ("ottobre", Month(22)), ("dicembre", Month(24)),
];

/// Words by the roles that they may play.
pub const ROLES: &[(&str, Flags)] = &[
    (LINKS, Flags::LINK),
    (FUNCTION_WORDS, Flags::STOP),
    (VERBS, Flags::STOP),
    (UNITS, Flags::UNIT),
    (MONEY, Flags::MONEY),
    ("uh um uhm er erm eh ah hmm hm mm mhm", Flags::FILLER),
    ("then okay ok", Flags::FILLER),
    ("dash hyphen minus space", Flags::DASH),
    ("dot point period", Flags::DOT),
    ("point", Flags::POINT),
    ("spelled spelt spelling spell spells", Flags::SPELLS),
    (CODE_WORDS, Flags::CODE_WORD),
    ("score line slash sign symbol", Flags::JOINED),
    ("as in for like is of from wie comme come como di de van jak som means", Flags::EXPLAINS),
    ("at", Flags::AT),
    ("slash backslash", Flags::SLASH),
    ("colon", Flags::COLON),
    ("underscore", Flags::UNDERSCORE),
    ("plus", Flags::PLUS),
    ("extension ext x", Flags::EXTENSION),
    ("and", Flags::AND),
    ("am pm noon midnight clock", Flags::AM_PM),
    (MODELS, Flags::MODEL),
    (
        "won win wins lost lose beat beats score scores scored lead leads led ended final set sets tied",
        Flags::SCORE,
    ),
    (TLDS, Flags::TLD),
    (WEAK_TLDS, Flags::WEAK_TLD),
    (
        "gmail googlemail yahoo hotmail outlook icloud aol protonmail gmx comcast verizon hushmail rediffmail fastmail btinternet ymail \
        rocketmail talktalk virginmedia ntlworld eircom laposte wanadoo libero tiscali bigpond optusnet sbcglobal bellsouth telstra",
        Flags::PROVIDER,
    ),
    (
        "car cars vehicle vehicles van truck lorry motorbike motorcycle taxi cab reg rego registration registered plate plates parked \
        parking driver driving mot toyota ford vauxhall honda nissan audi bmw volkswagen golf",
        Flags::VEHICLE,
    ),
    ("a an", Flags::ARTICLE),
    ("count counted counts counting countdown", Flags::COUNT),
    ("http https ftp", Flags::SCHEME),
    ("office fax mobile cell home landline work desk", Flags::PHONE_AFTER),
    (TITLES, Flags::TITLE),
    (
        "van von de da do dos das del della di du der den la le al el bin ibn ter ten zu san st mac af ap ní nic bint binti abu",
        Flags::PARTICLE,
    ),
    (STREETS, Flags::STREET),
    (
        "rue bd bld avenue boulevard place chemin allee quai impasse via viale corso piazza vicolo calle carrera avenida plaza paseo \
        camino rua praca travessa largo ul ulica aleja",
        Flags::STREET_BEFORE,
    ),
    (
        "apt apartment suite ste unit flat floor room house building bldg block door lot plot shop sector apto appt depto dpto piso lgh \
        wohnung whg etage étage",
        Flags::DOOR,
    ),
    (STATES, Flags::STATE),
    (
        "inc incorporated llc llp ltd limited plc corp corporation gmbh ag kg ohg sa sarl sas spa srl bv nv ab oy as aps pty \
        pvt lp pllc kgaa",
        Flags::FIRM,
    ),
    (BODIES, Flags::BODY),
    (
        "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun",
        Flags::WEEKDAY,
    ),
    (
        "hi hello hey dear hola howdy bonjour hallo goodbye bye cheers regards sincerely welcome",
        Flags::GREETING,
    ),
    (ACTS, Flags::ACT),
    (KINDRED, Flags::KIN),
    (
        "password passphrase passwort pwd passwd pw secret token apikey key bearer credentials username login userid handle screenname nickname \
        twitter instagram skype telegram snapchat discord benutzername usuario user",
        Flags::SECRET,
    ),
    ("north south east west northeast northwest southeast southwest n s e w ne nw se sw", Flags::DIRECTION),
    ("po box psc", Flags::BOX),
    ("age aged ages old olds yo turn turned turning turns year years yr yrs am", Flags::AGE),
    (
        "ticket tickets pallet pallets box bag crate aisle shelf row seat train bus stop track bug pull request",
        Flags::THING,
    ),
];

/// The words by which letters are spelled (ICAO); each spells its first letter.
pub const LETTERS: &str = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa \
    quebec romeo sierra tango uniform victor whiskey xray yankee zulu alfa juliett whisky";

/// The words of other alphabets: of police and post, of other languages, towns and countries, names, what children learn. Each spells its
/// first letter, where others stand beside it.
const CODE_WORDS: &str = "able adam adams anna anne alice alan albert alex amy andrew arthur adolf anton amsterdam ancona ankara athens argentina \
    apple ant axe anchor arrow alligator anatole antonio alicante baker ben berlin bob bobby betty barbara bernard bill brian boy boston baltimore \
    berta bologna bari brazil belgium barcelona banana ball bear bird bucket berthe bruno cast carl carol cathy catherine charles chris \
    cindy casablanca chicago como canada china cuba cat car cow candle cake carmen celestin cesar cäsar caesar dog dave david daniel dan dean deborah denise dennis \
    diana donald doris dora denver dallas danemark denmark domodossola dublin duck drum door dolphin desire dolores désiré easy edward eddie ed \
    emma eric erik eva eve eleanor elizabeth ellen emil edison egypt england empoli edinburgh essen elephant egg envelope eagle eugene enrique \
    frank fred freddie francis fiona felix fox firenze florence florida france finland friedrich fish frog feather flower florida françois \
    george greg grace gary gloria gordon gustav geneva genova germany greece gallipoli gibraltar goat grape guitar giraffe gaston gerona hannah \
    harry harold helen henry how howard heidi heinrich havana houston hungary holland hamburg hat hammer horse henri historia item \
    ida ian ivan isaac irene isabel ink italy imola iceland istanbul igloo ice island irma ines isidor jack jacob jane janet jean jeff jennifer \
    jerry jessica jig jim joe john johnny jill judy julie julia julius jerusalem jakarta japan jordan jamaica jelly jug jacket jam jolly joseph \
    josé king karen kate katherine keith ken kevin karl kappa kansas kentucky kiev kenya korea kaufmann kilogramme kite kettle kangaroo key kleber \
    love larry laura leo linda lisa louis louise lucy ludwig lincoln london livorno liverpool libya luxembourg lion lemon ladder lamp leaf \
    lorenzo louise mary maria mark martha martin matthew megan michael miles monica marie madagascar madrid milano manchester mexico malta miami \
    mother monkey moon mountain mouse mallory nan nancy nathan neil nicholas nick nicky nina nora norman nellie nordpol napoli naples nevada newyork \
    nairobi norway nepal nut nose nest needle nail nicolas navarra nathalie oboe ocean oliver olivia ollie olga otto oslo otranto ottawa ohio oman \
    orange owl onion octopus oxygen oscar paula paul pat patricia pete peter peggy philip phil pamela paris padova palermo pisa portugal peru poland \
    panda pig pencil pizza penguin pierre queen quentin quinn quelle quiet quito qatar queensland quadro quarto quilt quail question quintal rachel \
    ralph rebecca richard rick robert robin roger ron rose ruth rupert raymond roma rome russia rabbit rain ribbon river raoul ramón sally sam samuel \
    sandra sarah simon steve steven stephanie stephen susan sybil sugar siegfried santiago savona salerno seattle spain sweden scotland snake sun \
    sunday soap star spoon suzanne sábado tare tom tommy thomas tim tina tony teresa theodor theodore trent trudy torino tokyo tripoli taranto texas toronto \
    turkey thailand tiger table tree train toast tango turtle thérèse uncle ursula ulrich ulf una udine upsala utrecht uruguay uganda ukraine utah \
    umbrella unicorn union ulises vera vicky victoria vincent viktor valencia venice venezia verona vienna virginia venezuela vietnam van vase violin violet \
    wendy walter wanda will william willy wilhelm willie washington warsaw wales winnipeg water window whale wolf wagon xavier xander xanthippe xantippe \
    xiamen xerxes xeres xylophone xerox yoke york yellow yolanda young yvonne yuri yves yokohama yemen yogurt yacht ypsilon zebra zoe zoo zeppelin zürich \
    zurich zagreb zara zambia zimbabwe zaragoza zacharias zac zack zipper zander isabelle hugo norbert oskar wolfgang quirin ricardo";

const TITLES: &str = "mr mrs ms miss mister dr doctor prof professor sir madam madame mme mlle monsieur herr frau señor señora \
    senor senora rev reverend father sister brother captain capt sergeant sgt lieutenant lt colonel col general officer \
    detective judge senator president mayor congressman congresswoman governor chancellor lord lady dame king queen prince \
    princess rabbi imam pastor nurse attorney coach";

const STREETS: &str = "street st avenue ave av road rd lane ln drive dr boulevard blvd court ct way place pl square sq terrace ter \
    highway hwy parkway pkwy circle cir close crescent cres gardens grove hill row mews walk trail trl alley plaza pike \
    quay wharf parade rise croft mead meadow meadows brae vale glen garth wynd causeway embankment approach fold paddock paddocks \
    spinney maltings view broadway dene bend crossing loop path run ridge heights mall esplanade promenade turnpike freeway expressway \
    straße strasse str weg platz allee gasse ring damm ufer straat laan plein gatan vägen gade vej veien utca út ulica";

const STATES: &str = "al ak az ar ca co ct de fl ga hi id il ia ks ky la ma md me mi mn mo ms mt nc nd ne nh nj nm nv ny oh ok or pa ri sc sd \
    tn tx ut va vt wa wi wv wy dc aa ae ap alabama alaska arizona arkansas california colorado connecticut delaware florida \
    georgia hawaii idaho illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota \
    mississippi missouri montana nebraska nevada ohio oklahoma oregon pennsylvania tennessee texas utah vermont virginia \
    washington wisconsin wyoming";

const BODIES: &str = "bank university college hospital clinic institute foundation association associates company group partners \
    holdings industries technologies systems solutions services consulting insurance airlines hotel hotels school academy \
    church trust union orchestra museum brothers sons ventures capital pharmacy restaurant agency society club";

const ACTS: &str = "said says asked asks told tells called calls wrote writes replied replies answered thinks thought wants \
    wanted lives lived works worked went goes came comes left met has had is was will would can could sent gave took made \
    visited married joined died moved bought paid owes owned plays played sings sang stars starred wins won knows knew \
    loves likes loved speaking here calling explained added mentioned confirmed agreed insisted claimed";

const KINDRED: &str = "brother sister mother father mom mum dad son daughter wife husband uncle aunt cousin nephew niece boss \
    colleague neighbor neighbour friend partner assistant girlfriend boyfriend fiance grandma grandpa manager nurse";

const LINKS: &str = "is are was s it its that thats this these here at on to by me us my our your his her their the of \
    number numbers num no nr nos digits digit for be would actually please just again following as with and or \
    uh um uhm er erm eh ah hmm okay ok so well yes yeah yep sure whats then like under via called reads read \
    hash address home work office cell mobile business personal new old current direct line main primary";

const FUNCTION_WORDS: &str = "a an the this that these those is are was were be been being am i you he she it we they me \
    him them us my your his her its our their mine yours to of in on at by for from with into onto about over under \
    and or but if so as than then when where who whom what which why how not no yes yeah okay ok uh um er erm hm hmm \
    it's that's what's here there now just also too very please thanks thank s t re ve ll d m because while until \
    can could will would shall should may might must do does did done has have had having let lets";

const VERBS: &str = "send sent email emails mail mailed write wrote reach reached contact contacted call called text \
    texted message messaged address addresses ask asked tell told say said says get got give gave go going use using \
    used try tried find see seen saw look looked looking visit visited check checked forward forwarded reply replied \
    know known click open opened website site web page domain online link url account registered login username user \
    met meet sat sit stood stand stared arrived waited wait worked works stop stopped";

const UNITS: &str = "percent per cent percentage degree degrees celsius fahrenheit minute minutes min mins hour hours hr \
    hrs second seconds sec secs millisecond milliseconds day days week weeks month months year years decade decades \
    millimeter millimeters millimetre millimetres mm centimeter centimeters centimetre centimetres cm meter meters metre \
    metres kilometer kilometers kilometre kilometres km mile miles yard yards foot feet ft inch inches acre acres \
    hectare hectares gram grams kilogram kilograms kg kilo kilos kilowatt kilowatts milligram milligrams mg ton tons \
    tonne tonnes ounce ounces oz lb lbs liter liters litre litres milliliter milliliters millilitre ml gallon gallons \
    pint pints volt volts amp amps watt watts kw kwh mw ohm ohms hertz hz khz mhz ghz gigahertz megahertz kilohertz \
    decibel decibels db pascal pascals kpa bar bars psi newton newtons joule joules calorie calories kcal byte bytes \
    kb mb gb tb kib mib gib ms ns µs ppm ppb mah mwh wh hpa mbar counts cycles ticks views likes comments downloads followers subscribers kilobyte kilobytes megabyte megabytes gigabyte gigabytes terabyte terabytes bit bits bps kbps mbps rpm \
    knot knots mph kph kmh kmph sq square cubic dozen pixel pixels px dpi fps people persons men women children \
    users customers employees residents inhabitants visitors votes voters copies items units pieces times points \
    steps rows lines pages words lines records boxes bottles bags copies tickets seats runs goals wickets laps";

const MONEY: &str = "dollar dollars euro euros pound pounds pence penny cent cents yen rupee rupees franc francs peso \
    pesos won yuan rand krona kronor buck bucks quid grand usd eur gbp cad aud chf jpy inr cny sek nok dkk rs";

const MODELS: &str = "model version v ver firmware fw bios kernel sdk api schema migration snapshot nightly patch dataset build release revision rev part parts commit error code line ticket \
    step page chapter section figure table room gate flight route highway platform channel iso rfc iec ieee din en rtx \
    gtx sku module port level unit boeing airbus peugeot porsche ferrari bmw audi nokia thinkpad windows article \
    paragraph appendix volume issue episode season";

const TLDS: &str = "com org net edu gov mil info biz uk us eu de fr es nl ca au nz jp cn ru br mx pt pl se dk fi gr hu \
    cz sk ro bg hr ie ee lv lt lu ua tr il za kr tw hk sg th vn ph ng ke eg ae sa cl co ar pe uy cy io tv app dev \
    online xyz shop blog cloud tech club live name pro gl fo li mt si ch ve ec bo cr pa gt hn ni ba kz az ge uz nu";

const WEAK_TLDS: &str = "it is me so to in at be my no am as do la id ly sh rs py pl ai mk md cc ws fm ms mu mn tk ml ma \
    gg vc st sx store site website news work link world life today media zone space center group team energy agency solutions digital email support \
    systems care health academy network finance design studio legal expert consulting services technology global earth farm school \
    university community foundation church clinic dental fitness coffee pizza restaurant property homes travel gallery photography";
