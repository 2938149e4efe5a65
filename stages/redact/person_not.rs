//! Words that look like a name and are none: brands, characters, feasts, songs, places, things.
//!
//! In: a cx and the tokens of a name. Out: whether it is the name of a thing. After "my name is" nothing of this is asked.

use std::sync::LazyLock;

use super::kind::Entity;
use super::lexicon::Flags;
use super::scan_context::ScanContext;
use super::token::{Class, Token};

/// Makers, goods, characters and buildings that are called like a person; a title in front belongs to them. In small letters.
#[rustfmt::skip]
const CALLED: &[&str] = &[
    "alfa romeo", "arthur andersen", "aston martin", "aunt jemima", "baskin robbins", "ben jerry", "betty crocker",
    "black decker", "bugs bunny", "burt bees", "calvin klein", "captain america", "captain morgan", "charles schwab",
    "charlie brown", "christian dior", "coco chanel", "darth vader", "dave buster", "dirty harry", "doctor who", "dolce gabbana",
    "donald duck", "dow jones", "dr martens", "dr oetker", "dr pepper", "dr scholl", "dr scholls", "dr seuss", "dr who",
    "earl grey", "eddie bauer", "elizabeth arden", "ernst young", "estee lauder", "famous amos", "fannie mae", "father christmas",
    "father ted", "freddie mac", "fred perry", "general electric", "general mills", "general motors", "giorgio armani",
    "goldman sachs", "grey goose", "harley davidson", "harry potter", "harry winston", "hello kitty", "hugo boss", "indiana jones",
    "jack daniel", "jack daniels", "jack russell", "jack wills", "jack wolfskin", "james bond", "james webb", "jane eyre",
    "jenny craig", "jerry springer", "jim beam", "jimmy choo", "jimmy dean", "john deere", "john hancock", "john lewis",
    "john wick", "johnnie walker", "johnny walker", "johnson controls", "jose cuervo", "kate spade", "king arthur", "king kong",
    "lady gaga", "levi strauss", "little caesars", "loch ness", "lord of", "louis vuitton", "madame tussauds", "mark spencer",
    "marks spencer", "martha stewart", "marvin gaye", "mary berry", "mary kay", "mary poppins", "max mara", "mercedes benz",
    "merrill lynch", "michael kors", "mickey mouse", "miss marple", "miss universe", "miss world", "mona lisa", "morgan stanley",
    "mother nature", "mr bean", "mr clean", "mr coffee", "mr kipling", "mr muscle", "mr potato", "mr robot", "mrs butterworth",
    "mrs doubtfire", "mrs hinch", "nelson mandela", "oscar mayer", "oliver twist", "paul smith", "peter pan", "philip morris",
    "polly pocket", "ralph lauren", "raymond james", "robin hood", "rolls royce", "romeo juliet", "saint laurent", "sam adams",
    "samuel adams", "santa claus", "sara lee", "scooby doo", "sesame street", "sherlock holmes", "sir lanka", "smith wesson",
    "sonny angel", "stella artois", "super mario", "ted baker", "tim hortons", "tommy hilfiger", "tom ford", "tom jerry",
    "tom collins", "trader joe", "uncle ben", "uncle sam", "victoria secret", "vincent van", "virgin mary", "wells fargo",
    "wendy s", "willy wonka", "winnie the", "yves saint",
    "johnson johnson", "procter gamble", "monte carlo", "amber alert", "santa fe", "santa barbara", "santa monica", "san jose", "pratt whitney", "crosse blackwell", "fortnum mason", "bell howell", "warner bros", "warner brothers", "abercrombie fitch", "tiffany co", "lea perrins", "barnes noble", "simon schuster",
];

/// Words that are names, and yet more often a thing, a plant, a machine or a people.
#[rustfmt::skip]
const THINGS: &[&str] = &[
    "alexa", "amber", "autumn", "basil", "bentley", "bixby", "cayenne", "cedar", "charity", "christian", "cinnamon", "cisco",
    "clementine", "coral", "corsa", "cortana", "crystal", "daisy", "danish", "delta", "diamond", "dutch", "ebony", "english",
    "excel", "faith", "fiesta", "french", "gala", "german", "ginger", "greek", "hazel", "holly", "irish", "ivory", "ivy", "jade",
    "jasmine", "java", "jersey", "jordan", "julia", "king", "lavender", "lincoln", "lily", "mazda", "mercedes", "mercury",
    "olive", "oracle", "pandora", "pearl", "pepper", "pixel", "polish", "polo", "porsche", "prince", "princess", "python",
    "queen", "roman", "rosemary", "ruby", "rust", "saffron", "sage", "scala", "sienna", "siri", "sterling", "summer", "swedish",
    "swift", "tesla", "thai", "turkish", "valentine", "victoria", "violet", "welsh", "willow", "winter", "zulu",
    "apollo", "ada", "gemini", "titan", "atlas", "phoenix",
];

/// Words that are spoken to, or programmed in: never a name by themselves, whatever follows.
#[rustfmt::skip]
const MACHINES: &[&str] = &[
    "alexa", "siri", "cortana", "bixby", "python", "java", "cisco", "rua", "alt", "thai", "christ", "jesus", "buddha", "allah",
    "facebook", "google", "whatsapp", "instagram", "twitter", "netflix", "amazon", "toyota", "honda", "uber", "youtube", "tiktok",
    "zoom", "skype", "spotify", "paypal", "ebay", "samsung", "nokia", "lego", "ikea",
];

/// Words that a feast, a church or a place has behind the name of a saint or a king: "Patrick's Day", "King's Cross".
#[rustfmt::skip]
const BELONGINGS: &[&str] = &[
    "day", "eve", "cross", "square", "park", "cathedral", "church", "chapel", "school", "college", "hospital", "gate", "wort",
    "bay", "island", "beach", "point", "creek", "hill", "street", "road", "cup", "cove", "market", "seat", "wall", "court",
    "landing", "comet", "law", "theorem",
];

/// Things that are called after their discoverer: "Newton's law", "Parkinson's disease".
#[rustfmt::skip]
const AILMENTS: &[&str] = &[
    "disease", "syndrome", "law", "laws", "theorem", "lymphoma", "palsy", "principle", "paradox", "constant", "equation",
    "reflex", "boys",
    "method", "sake", "bar", "arms",
];

/// The same without a possessive: "Petri dish", "Allen key", "Earl Grey tea".
#[rustfmt::skip]
const GOODS: &[&str] = &[
    "dish", "counter", "burner", "screwdriver", "key", "keys", "salad", "tea", "wrench", "scale", "spaniel", "terrier",
    "retriever", "shepherd", "stove", "valve", "engine", "boots", "jeans", "oil", "syrup", "biscuits",
    "series", "transform", "distribution", "chains", "prize", "award", "medal",
];

/// Things that are called after a person: "Davis Cup", "Albert Bridge".
#[rustfmt::skip]
const PLACES: &[&str] = &[
    "cup", "bridge", "cathedral", "gate", "square", "island", "beach", "street", "road", "hospital", "school", "college",
    "airport", "station", "stadium", "arena", "trophy", "spaniel",
    "alert", "prize", "award", "medal",
];

/// Things that have the name of a person behind them.
const STORMS: [&str; 6] = ["storm", "hurricane", "cyclone", "typhoon", "lake", "mount"];

/// Returns true if a listed word is more often a thing than a person.
pub fn is_thing_word(word: &str) -> bool {
    is_in(THINGS, word)
}

/// Returns true if the tokens `first..=last`, found by a rule that sees no cue of a name, are the name of a thing.
pub fn is_thing(cx: &ScanContext<'_>, first: usize, last: usize) -> bool {
    if is_called(cx, first, last) || is_keyed(cx, first, last) {
        return true;
    }
    let single = first == last;
    let word = cx.tokens.str(cx.tokens.at(first));
    let end = cx.tokens.str(cx.tokens.at(last));
    let next = cx.free(last + 1);
    is_belonging(cx, last)
        || first < last && (is_in(PLACES, end) || is_in(&STORMS, word))
        || is_played(cx, first)
        || !next.new_line && is_in(GOODS, cx.tokens.str(next)) && !cx.tokens.glued(last + 1)
        || single && next.has(Flags::WEEKDAY) && cx.tokens.is_capital(next)
        || single && first.checked_sub(1).is_some_and(|at| cx.kind_at(at) == Some(Entity::Postcode))
        || is_in(MACHINES, word) && !(last > first && cx.known(last).is_name_alone())
        || is_numbered(cx, last)
        || single && (is_maker(cx, first) || is_saint(cx, first) || is_in_state(cx, last))
}

fn is_in(list: &[&str], word: &str) -> bool {
    list.iter().any(|known| known.len() == word.len() && word.eq_ignore_ascii_case(known))
}

/// The word before `index`, past the dot of a title and past "&" or "and".
fn is_called(cx: &ScanContext<'_>, first: usize, last: usize) -> bool {
    let dot = usize::from(cx.free_before(first).is(b'.'));
    let title = first.checked_sub(1 + dot).filter(|at| cx.free(*at).has(Flags::TITLE | Flags::KIN));
    let pair = |a: usize, b: usize| {
        let (a, b) = (cx.free(a), cx.free(b));
        a.class == Class::Word && b.class == Class::Word && is_pair(cx, a, b)
    };
    let next = last + 1 + usize::from(cx.free(last + 1).has(Flags::AND) || cx.free(last + 1).is(b'&'));
    let before = first.checked_sub(1).and_then(|at| {
        let token = cx.free(at);
        let joint = token.is(b'&') || token.has(Flags::AND);
        if joint { at.checked_sub(1) } else { Some(at) }
    });
    title.is_some_and(|title| pair(title, first))
        || before.is_some_and(|before| pair(before, first))
        || first < last && pair(first, first + 1)
        || pair(last, next)
}

/// The pairs by the first letter of the first word.
static BY_LETTER: LazyLock<Vec<Vec<(&'static str, &'static str)>>> = LazyLock::new(|| {
    let pairs = |letter: u8| {
        let pairs = CALLED.iter().filter_map(|called| called.split_once(' '));
        pairs.filter(|(first, _)| first.bytes().next() == Some(letter)).collect()
    };
    (b'a'..=b'z').map(pairs).collect()
});

fn is_pair(cx: &ScanContext<'_>, first: Token, second: Token) -> bool {
    let (first, second) = (cx.tokens.str(first), cx.tokens.str(second));
    let letter = first.bytes().next().map_or(0, |byte| byte.to_ascii_lowercase());
    let pairs = BY_LETTER.get(usize::from(letter.wrapping_sub(b'a')));
    pairs.is_some_and(|pairs| {
        pairs.iter().any(|(a, b)| first.eq_ignore_ascii_case(a) && second.eq_ignore_ascii_case(b))
    })
}

/// "Ctrl+Alt+Del", "Mary=1".
fn is_keyed(cx: &ScanContext<'_>, first: usize, last: usize) -> bool {
    let plus = |at: usize| cx.tokens.at(at).is(b'+') && cx.tokens.is_inner(at);
    first.checked_sub(1).is_some_and(plus) || plus(last + 1)
}

/// "Patrick's Day".
fn is_belonging(cx: &ScanContext<'_>, last: usize) -> bool {
    let sign = cx.free(last + 1);
    let s = cx.tokens.str(cx.free(last + 2));
    let possessive = (sign.is(b'\'') || sign.is_apostrophe()) && s.eq_ignore_ascii_case("s");
    let thing = cx.free(last + 3);
    let word = cx.tokens.str(thing);
    let noun = cx.tokens.is_capital(thing) || word == "wort" || word == "day";
    possessive && (noun && is_in(BELONGINGS, word) || is_in(AILMENTS, word))
}

/// "St. Patrick", "Lake Victoria", but not "12 Main St. Patrick came".
fn is_saint(cx: &ScanContext<'_>, first: usize) -> bool {
    const BEFORE: [&str; 14] = [
        "st",
        "saint",
        "lake",
        "mount",
        "mt",
        "fort",
        "port",
        "cape",
        "hotel",
        "cafe",
        "storm",
        "hurricane",
        "cyclone",
        "typhoon",
    ];
    let dot = usize::from(cx.free_before(first).is(b'.'));
    let Some(at) = first.checked_sub(1 + dot) else { return false };
    let saint = cx.free(at);
    let street = cx.free_before(at);
    saint.class == Class::Word
        && cx.tokens.is_capital(saint)
        && is_in(&BEFORE, cx.tokens.str(saint))
        && !(street.class == Class::Word
            && cx.tokens.is_capital(street)
            && cx.free_before(at - 1).class == Class::Digits)
}

/// "Johnson's baby oil": the name of a maker before goods.
fn is_maker(cx: &ScanContext<'_>, first: usize) -> bool {
    const MAKERS: [&str; 10] =
        ["johnson", "kellogg", "campbell", "hershey", "heinz", "wendy", "denny", "macy", "nando", "levi"];
    let sign = cx.free(first + 1);
    is_in(&MAKERS, cx.tokens.str(cx.tokens.at(first))) && (sign.is(b'\'') || sign.is_apostrophe())
}

/// "KL1009", "Button1": figures glued behind it, or what stands in their place.
fn is_numbered(cx: &ScanContext<'_>, last: usize) -> bool {
    matches!(cx.tokens.at(last + 1).class, Class::Digits | Class::Tag(_)) && cx.tokens.glued(last + 1)
}

/// "Harlan, IA": a town before the letters of its state. Those that are words too do not count.
fn is_in_state(cx: &ScanContext<'_>, last: usize) -> bool {
    let state = cx.free(last + 2);
    let word = cx.tokens.str(state);
    cx.free(last + 1).is(b',')
        && state.has(Flags::STATE)
        && state.len() == 2
        && word.bytes().all(|byte| byte.is_ascii_uppercase())
        && !["OK", "IN", "ME", "OR", "HI", "OH", "MA", "PA", "LA", "AL"].contains(&word)
}

/// "Play Roxanne", "put on Layla", "listen to Jolene": a song. "Play with Tom" is none.
fn is_played(cx: &ScanContext<'_>, first: usize) -> bool {
    const VERBS: [&str; 8] = ["play", "playing", "sing", "singing", "queue", "shuffle", "hum", "hey"];
    let word = |back: usize| first.checked_sub(back).map_or("", |at| cx.tokens.str(cx.free(at)));
    let hey = word(1).eq_ignore_ascii_case("hey") && is_in(&VERBS, word(2));
    let verb = is_in(&VERBS, word(1)) && !word(1).eq_ignore_ascii_case("hey");
    let phrase = |a: &str, b: &str| word(2).eq_ignore_ascii_case(a) && word(1).eq_ignore_ascii_case(b);
    hey || verb || phrase("put", "on") || phrase("listen", "to") || phrase("listening", "to")
}

/// "Mr. Coffee": a plain word that is no name.
pub fn is_plain_noun(cx: &ScanContext<'_>, index: usize) -> bool {
    let about = cx.known(index);
    about.is_common() && !about.is_first() && !about.is_last()
}
