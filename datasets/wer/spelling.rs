//! A lower-case English word in, its American spelling out. Rules over stems, and a table for the rest; words that
//! differ in more than spelling (lift and elevator) stay. Lists are strings, parted by single spaces.

/// Stems before -our that America writes -or (colour, favourite, neighbourhood, ...).
const OUR: &str = "arb ard arm behavi belab cand clam clang col demean discol disfav dishon endeav enam fav ferv flav harb hon hum lab \
    misbehavi misdemean multicol neighb od parl ranc rig rum sav savi splend succ technicol tricol tum unfav unsav val vap vig watercol";

/// Stems before -ise that stay: the ending is part of the word there, or the word is another.
const NOT_IZE: &str = "advert chast circumc compr comprom conc cer den dem desp dev disgu enterpr exc exerc expert franch hoa imprec improv inc \
    merchand parad porpo prec prem prom pract repr appr rev superv surm surpr telev torto treat turquo adv unadv upr sunr val mayonna \
    unprom unsurpr unrev moonr marqu";
/// Endings behind the s of -ise, the longest first.
const ISE_ENDINGS: &str = "ations ational ation ingly ement ance able ably ers ing ed er es e";

/// Stems before -yse that America writes -yze.
const YSE: &str = "anal breathal catal hydrol paral psychoanal";
const YSE_ENDINGS: &str = "e es ed er ers ing";

/// Stems before -re that America writes -er.
const RE: &str = "amphitheat calib cent centilit centimet epicent fib goit kilomet lacklust lit louv lust meag met micromet \
    millimet millilit mit outmanoeuv manoeuv reconnoit sab saltpet scept sepulch somb spect theat";
const RE_ENDINGS: [(&str, &str); 4] = [("re", "er"), ("res", "ers"), ("red", "ered"), ("ring", "ering")];

/// Words whose final l Britain doubles before an ending.
const DOUBLED: &str = "backpedal bedevil bejewel bevel cancel carol cavil channel chisel council counsel cruel cudgel dial disembowel dishevel \
    drivel duel enamel funnel gambol gravel grovel gruel impanel imperil initial jewel label level libel marshal marvel model \
    panel parcel pedal pencil pummel quarrel ravel refuel remodel revel rival shovel shrivel signal snivel snorkel spiral squirrel stencil \
    swivel tassel towel travel trial tunnel unequal unravel unrival untrammel weasel yodel";
const DOUBLED_ENDINGS: &str = "ed ing er ers ings ors or est ous ously ingly ist ists";

/// Pieces of words wherever they stand: British, American.
const PIECES: [(&str, &str); 17] = [
    ("plough", "plow"),
    ("mould", "mold"),
    ("moult", "molt"),
    ("moustach", "mustach"),
    ("draught", "draft"),
    ("sceptic", "skeptic"),
    ("sulph", "sulf"),
    ("gaol", "jail"),
    ("manoeuvr", "maneuver"),
    ("tranquillis", "tranquiliz"),
    ("tranquilliz", "tranquiliz"),
    ("waggon", "wagon"),
    ("chequer", "checker"),
    ("cheque", "check"),
    ("anaesthetist", "anesthetist"),
    ("anaesthetis", "anesthetiz"),
    ("theatrego", "theatergo"),
];

/// Beginnings of words: British, American.
const PREFIXES: [(&str, &str); 35] = [
    ("aeroplane", "airplane"),
    ("aesth", "esth"),
    ("aetiolog", "etiolog"),
    ("anaesth", "anesth"),
    ("archaeologically", "archeologically"),
    ("archaeologist", "archeologist"),
    ("bannister", "banister"),
    ("baulk", "balk"),
    ("bevv", "bev"),
    ("caesarean", "cesarean"),
    ("calliper", "caliper"),
    ("centref", "centerf"),
    ("centrep", "centerp"),
    ("chimaera", "chimera"),
    ("cypher", "cipher"),
    ("diarrhoea", "diarrhea"),
    ("encyclopaed", "encycloped"),
    ("fibreg", "fiberg"),
    ("foet", "fet"),
    ("gryphon", "griffin"),
    ("groyne", "groin"),
    ("gynaec", "gynec"),
    ("haemat", "hemat"),
    ("haemo", "hemo"),
    ("homoeo", "homeo"),
    ("leukaem", "leukem"),
    ("oesoph", "esoph"),
    ("oestr", "estr"),
    ("orthopaed", "orthoped"),
    ("paediatr", "pediatr"),
    ("paedo", "pedo"),
    ("paedera", "pedera"),
    ("palaeo", "paleo"),
    ("praesidium", "presidium"),
    ("syphon", "siphon"),
];

/// Endings of words: British, American.
const SUFFIXES: [(&str, &str); 9] = [
    ("logue", "log"),
    ("logues", "logs"),
    ("gramme", "gram"),
    ("grammes", "grams"),
    ("flexion", "flection"),
    ("flexions", "flections"),
    ("nnexion", "nnection"),
    ("nnexions", "nnections"),
    ("orrhoea", "orrhea"),
];

/// Words that no rule covers. Both sides are whole words.
const WORDS: [(&str, &str); 146] = [
    ("accoutrements", "accouterments"),
    ("aeon", "eon"),
    ("aeons", "eons"),
    ("ageing", "aging"),
    ("almanack", "almanac"),
    ("almanacks", "almanacs"),
    ("aluminium", "aluminum"),
    ("anaemia", "anemia"),
    ("anaemic", "anemic"),
    ("appal", "appall"),
    ("appals", "appalls"),
    ("archeological", "archaeological"),
    ("artefact", "artifact"),
    ("artefacts", "artifacts"),
    ("axe", "ax"),
    ("behove", "behoove"),
    ("behoved", "behooved"),
    ("behoves", "behooves"),
    ("biassed", "biased"),
    ("biassing", "biasing"),
    ("bingeing", "binging"),
    ("busses", "buses"),
    ("bussing", "busing"),
    ("callisthenics", "calisthenics"),
    ("cancelation", "cancellation"),
    ("cancelations", "cancellations"),
    ("catalogued", "cataloged"),
    ("cataloguing", "cataloging"),
    ("chilli", "chili"),
    ("clarinettist", "clarinetist"),
    ("clarinettists", "clarinetists"),
    ("cosier", "cozier"),
    ("cosies", "cozies"),
    ("cosiest", "coziest"),
    ("cosily", "cozily"),
    ("cosiness", "coziness"),
    ("cosy", "cozy"),
    ("crenelated", "crenellated"),
    ("defence", "defense"),
    ("defenceless", "defenseless"),
    ("defences", "defenses"),
    ("disc", "disk"),
    ("discs", "disks"),
    ("distil", "distill"),
    ("distils", "distills"),
    ("encyclopaedia", "encyclopedia"),
    ("enrol", "enroll"),
    ("enrols", "enrolls"),
    ("enthral", "enthrall"),
    ("enthrals", "enthralls"),
    ("epaulette", "epaulet"),
    ("epaulettes", "epaulets"),
    ("exorcise", "exorcize"),
    ("faecal", "fecal"),
    ("faeces", "feces"),
    ("fillet", "filet"),
    ("filleted", "fileted"),
    ("filleting", "fileting"),
    ("fillets", "filets"),
    ("flautist", "flutist"),
    ("flautists", "flutists"),
    ("fulfil", "fulfill"),
    ("fulfilment", "fulfillment"),
    ("fulfils", "fulfills"),
    ("gage", "gauge"),
    ("gaged", "gauged"),
    ("gages", "gauges"),
    ("gaging", "gauging"),
    ("gasses", "gases"),
    ("gipsies", "gypsies"),
    ("glamor", "glamour"),
    ("glueing", "gluing"),
    ("grey", "gray"),
    ("greyed", "grayed"),
    ("greying", "graying"),
    ("greyish", "grayish"),
    ("greyness", "grayness"),
    ("greys", "grays"),
    ("instal", "install"),
    ("instalment", "installment"),
    ("instalments", "installments"),
    ("instals", "installs"),
    ("instil", "instill"),
    ("instils", "instills"),
    ("jewellery", "jewelry"),
    ("judgement", "judgment"),
    ("licence", "license"),
    ("licenced", "licensed"),
    ("licences", "licenses"),
    ("licencing", "licensing"),
    ("likeable", "likable"),
    ("manoeuvre", "maneuver"),
    ("manoeuvres", "maneuvers"),
    ("mediaeval", "medieval"),
    ("minibusses", "minibuses"),
    ("misspelt", "misspelled"),
    ("mould", "mold"),
    ("mouldy", "moldy"),
    ("moustache", "mustache"),
    ("offence", "offense"),
    ("offences", "offenses"),
    ("omelette", "omelet"),
    ("omelettes", "omelets"),
    ("panellist", "panelist"),
    ("pharmacopoeia", "pharmacopeia"),
    ("pharmacopoeias", "pharmacopeias"),
    ("philtre", "filter"),
    ("philtres", "filters"),
    ("phoney", "phony"),
    ("plough", "plow"),
    ("pouffe", "pouf"),
    ("pouffes", "poufs"),
    ("practise", "practice"),
    ("practised", "practiced"),
    ("practises", "practices"),
    ("practising", "practicing"),
    ("pretence", "pretense"),
    ("pretences", "pretenses"),
    ("primaeval", "primeval"),
    ("pyjama", "pajama"),
    ("pyjamas", "pajamas"),
    ("pzazz", "pizzazz"),
    ("sheikh", "sheik"),
    ("storey", "story"),
    ("storeys", "stories"),
    ("tonne", "ton"),
    ("tonnes", "tons"),
    ("toxaemia", "toxemia"),
    ("tranquillity", "tranquility"),
    ("travelog", "travelogue"),
    ("travelogs", "travelogues"),
    ("tyre", "tire"),
    ("tyres", "tires"),
    ("videodisc", "videodisk"),
    ("videodiscs", "videodisks"),
    ("woollen", "woolen"),
    ("woollens", "woolens"),
    ("woollies", "woolies"),
    ("woolly", "wooly"),
    ("worshipped", "worshiped"),
    ("worshipper", "worshiper"),
    ("worshipping", "worshiping"),
    ("yoghourt", "yogurt"),
    ("yoghourts", "yogurts"),
    ("yoghurt", "yogurt"),
    ("yoghurts", "yogurts"),
];

/// The American spelling of a word, or the word itself.
pub fn american(word: &str) -> String {
    if !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return word.into();
    }
    by_table(word)
        .or_else(|| our(word))
        .or_else(|| pieces(word))
        .or_else(|| ise(word))
        .or_else(|| endings(word, YSE, "ys", "yz", YSE_ENDINGS))
        .or_else(|| re(word))
        .or_else(|| endings(word, DOUBLED, "l", "", DOUBLED_ENDINGS))
        .or_else(|| PREFIXES.iter().find_map(|(old, new)| Some(format!("{new}{}", word.strip_prefix(old)?))))
        .or_else(|| suffix(word))
        .unwrap_or_else(|| word.into())
}

fn listed(list: &str, stem: &str) -> bool {
    list.split(' ').any(|listed| listed == stem)
}

fn by_table(word: &str) -> Option<String> {
    WORDS.iter().find(|(british, _)| *british == word).map(|(_, american)| (*american).into())
}

fn our(word: &str) -> Option<String> {
    let (stem, ending) = word.split_once("our")?;
    listed(OUR, stem).then(|| format!("{stem}or{ending}"))
}

/// -ise is -ize, but for words that are not made by that ending: short ones, those with another vowel before it, and those that are listed.
fn ise(word: &str) -> Option<String> {
    let (stem, ending) = ISE_ENDINGS.split(' ').find_map(|ending| {
        let stem = word.strip_suffix(ending)?.strip_suffix("is")?;
        Some((stem, ending))
    })?;
    let made = stem.len() >= 3 && !stem.ends_with(['a', 'u', 'w']) && !listed(NOT_IZE, stem);
    made.then(|| format!("{stem}iz{ending}"))
}

/// Pieces that are written otherwise; of -euver the e that stands before the ending goes.
fn pieces(word: &str) -> Option<String> {
    PIECES.iter().find_map(|(british, american)| {
        let (before, after) = word.split_once(british)?;
        let after = if british.ends_with("euvr") { after.strip_prefix('e').unwrap_or(after) } else { after };
        let between = if british.ends_with("euvr") && after.starts_with(['d', 'r']) { "e" } else { "" };
        Some(format!("{before}{american}{between}{after}"))
    })
}

fn suffix(word: &str) -> Option<String> {
    let listed = SUFFIXES.iter().find_map(|(old, new)| Some((word.strip_suffix(old)?, new)));
    listed.filter(|(stem, _)| *stem != "trave").map(|(stem, new)| format!("{stem}{new}"))
}

/// stem + `british` + ending -> stem + `american` + ending, for the stems and endings given.
fn endings(word: &str, stems: &str, british: &str, american: &str, endings: &str) -> Option<String> {
    endings.split(' ').find_map(|ending| {
        let stem = word.strip_suffix(ending)?.strip_suffix(british)?;
        listed(stems, stem).then(|| format!("{stem}{american}{ending}"))
    })
}

fn re(word: &str) -> Option<String> {
    RE_ENDINGS.iter().find_map(|(british, american)| {
        let stem = word.strip_suffix(british)?;
        listed(RE, stem).then(|| format!("{stem}{american}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn british_becomes_american() {
        let table = [
            ("colours", "colors"),
            ("favourite", "favorite"),
            ("neighbourhood", "neighborhood"),
            ("organisation", "organization"),
            ("realised", "realized"),
            ("apologises", "apologizes"),
            ("analysing", "analyzing"),
            ("centre", "center"),
            ("theatres", "theaters"),
            ("centred", "centered"),
            ("travelled", "traveled"),
            ("cancelling", "canceling"),
            ("labelled", "labeled"),
            ("grey", "gray"),
            ("anaesthetist", "anesthetist"),
            ("haemoglobin", "hemoglobin"),
            ("defence", "defense"),
        ];
        for (british, expected) in table {
            assert_eq!(american(british), expected);
        }
    }

    #[test]
    fn other_words_stay() {
        let table = [
            "hour",
            "our",
            "four",
            "tour",
            "court",
            "course",
            "rise",
            "wise",
            "promise",
            "exercise",
            "realistic",
            "analysis",
            "acre",
            "fire",
            "more",
            "called",
            "filling",
            "metal",
            "organ",
            "color",
            "center",
            "promised",
            "surprise",
            "honest",
            "lab",
            "size",
            "advise",
            "improvise",
        ];
        for word in table {
            assert_eq!(american(word), word);
        }
    }
}
