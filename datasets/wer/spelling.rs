//! A lower-case English word in, its American spelling out. Rules over stems, and a table for the rest; words that
//! differ in more than spelling (lift and elevator) stay. Lists of stems are strings, parted by single spaces.

/// Stems before -our that America writes -or (colour, favourite, neighbourhood, ...).
const OUR: &str = "arm behavi cand clam col demean discol endeav enam fav ferv flav harb hon hum lab \
    misbehavi multicol neighb od rum sav splend tum val vap vig";

/// Stems before -ise, -ising, -isation that America writes with z.
const ISE: &str = "agon antagon apolog author brutal capital central character civil colon commercial \
    critic crystall digit econom emphas energ equal fertil final general global harmon \
    hospital hypothes ideal immun initial legal local maxim memor minim mobil modern monopol \
    national neutral normal optim organ penal personal popular prior public real recogn \
    reorgan social special stabil standard summar symbol visual";
const ISE_ENDINGS: &str = "e es ed er ers ing ation ations able";

/// Stems before -yse that America writes -yze.
const YSE: &str = "anal catal hydrol paral";
const YSE_ENDINGS: &str = "e es ed er ers ing";

/// Stems before -re that America writes -er.
const RE: &str = "accout calib cent centimet epicent fib goit kilomet lit lust meag met millimet millilit \
    sab scept somb spect theat";
const RE_ENDINGS: [(&str, &str); 4] = [("re", "er"), ("res", "ers"), ("red", "ered"), ("ring", "ering")];

/// Verbs whose final l Britain doubles before an ending.
const DOUBLED: &str = "cancel channel counsel dial duel equal fuel funnel jewel label level libel marshal \
    marvel model panel quarrel rival shovel signal spiral total travel tunnel";
const DOUBLED_ENDINGS: &str = "ed ing er ers ings";

/// First letters of medical words: British, American.
const PREFIXES: [(&str, &str); 12] = [
    ("anaesth", "anesth"),
    ("diarrhoea", "diarrhea"),
    ("foet", "fet"),
    ("gynaec", "gynec"),
    ("haemat", "hemat"),
    ("haemo", "hemo"),
    ("leukaem", "leukem"),
    ("oedema", "edema"),
    ("oesoph", "esoph"),
    ("oestr", "estr"),
    ("orthopaed", "orthoped"),
    ("paediatr", "pediatr"),
];

/// What no rule covers. Both sides are whole words.
const WORDS: [(&str, &str); 66] = [
    ("acknowledgement", "acknowledgment"),
    ("ageing", "aging"),
    ("aluminium", "aluminum"),
    ("amongst", "among"),
    ("analogue", "analog"),
    ("anaemia", "anemia"),
    ("anaemic", "anemic"),
    ("artefact", "artifact"),
    ("artefacts", "artifacts"),
    ("axe", "ax"),
    ("catalogue", "catalog"),
    ("catalogues", "catalogs"),
    ("cheque", "check"),
    ("cheques", "checks"),
    ("cosy", "cozy"),
    ("defence", "defense"),
    ("dialogue", "dialog"),
    ("dialogues", "dialogs"),
    ("doughnut", "donut"),
    ("doughnuts", "donuts"),
    ("draught", "draft"),
    ("encyclopaedia", "encyclopedia"),
    ("enrol", "enroll"),
    ("enrolment", "enrollment"),
    ("fulfil", "fulfill"),
    ("fulfils", "fulfills"),
    ("fulfilment", "fulfillment"),
    ("grey", "gray"),
    ("greys", "grays"),
    ("instalment", "installment"),
    ("instalments", "installments"),
    ("jewellery", "jewelry"),
    ("judgement", "judgment"),
    ("judgements", "judgments"),
    ("kerb", "curb"),
    ("licence", "license"),
    ("licences", "licenses"),
    ("manoeuvre", "maneuver"),
    ("manoeuvres", "maneuvers"),
    ("mould", "mold"),
    ("mouldy", "moldy"),
    ("moustache", "mustache"),
    ("mum", "mom"),
    ("offence", "offense"),
    ("offences", "offenses"),
    ("omelette", "omelet"),
    ("plough", "plow"),
    ("practise", "practice"),
    ("practised", "practiced"),
    ("practising", "practicing"),
    ("pretence", "pretense"),
    ("programme", "program"),
    ("programmes", "programs"),
    ("pyjamas", "pajamas"),
    ("sceptical", "skeptical"),
    ("skilful", "skillful"),
    ("smoulder", "smolder"),
    ("storey", "story"),
    ("storeys", "stories"),
    ("sulphur", "sulfur"),
    ("towards", "toward"),
    ("tyre", "tire"),
    ("tyres", "tires"),
    ("whisky", "whiskey"),
    ("wilful", "willful"),
    ("yoghurt", "yogurt"),
];

/// The American spelling of a word, or the word itself.
pub fn american(word: &str) -> String {
    by_table(word)
        .or_else(|| our(word))
        .or_else(|| endings(word, ISE, "is", "iz", ISE_ENDINGS))
        .or_else(|| endings(word, YSE, "ys", "yz", YSE_ENDINGS))
        .or_else(|| re(word))
        .or_else(|| endings(word, DOUBLED, "l", "", DOUBLED_ENDINGS))
        .or_else(|| PREFIXES.iter().find_map(|(old, new)| Some(format!("{new}{}", word.strip_prefix(old)?))))
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
