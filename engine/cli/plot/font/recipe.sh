#!/bin/sh
# Makes the two fonts of this folder anew: Roboto (Apache-2.0, see LICENSE) as the package font-roboto
# carries it, cut down to Latin-1, Latin Extended-A and the signs a plot needs. Hinting, kerning and
# ligatures are left out, so that a text is as wide as the sum of its glyphs, here and in any other drawing
# of it. The same two files come out on every machine: the versions are fixed and no time is written.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "fonttools==4.68.0"
"$work/venv/bin/pip" download --quiet --no-deps --dest "$work" "font-roboto==0.0.1"
tar -xzf "$work/font-roboto-0.0.1.tar.gz" -C "$work"
files="$work/font-roboto-0.0.1/font_roboto/files"
signs="U+2010-2015,U+2018-201A,U+201C-201E,U+2022,U+2026,U+2070,U+2074-2079,U+207B,U+20AC,U+2212,U+2248,U+2264,U+2265"
for weight in Regular Medium; do
    "$work/venv/bin/pyftsubset" "$files/Roboto-$weight.ttf" \
        --unicodes="U+0020-007E,U+00A0-017F,$signs" \
        --output-file="$here/Roboto-$weight.ttf" \
        --no-hinting --desubroutinize --layout-features='' --drop-tables+=GPOS,GSUB,GDEF,kern,hdmx,VDMX,LTSH,gasp,DSIG \
        --no-glyph-names --notdef-outline --name-IDs=0,1,2,3,4,5,6,13,14
done
cp "$files/LICENSE" "$here/LICENSE"
