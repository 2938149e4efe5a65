#!/bin/sh
# Makes the sound samples beside this file: 1 s of a 440 Hz sine at half of full scale.
# They are kept in the repository; this needs sox, flac, lame, vorbis-tools and ffmpeg and is never run by the tests.
set -eu
tone() { sox -D -n -r "$1" -c "$2" -b 16 "$3" synth 1 sine 440 vol 0.5; }
tone 44100 2 tone.wav && flac -s -f tone.wav -o tone-44100-2.flac && oggenc -Q -s 1 -q 3 tone.wav -o tone-44100-2.ogg \
    && lame --quiet --resample 44.1 -b 64 tone.wav tone-44100-2.mp3
tone 8000 1 tone.wav && flac -s -f tone.wav -o tone-8000-1.flac && lame --quiet -b 32 tone.wav tone-8000-1.mp3
tone 12000 6 tone.wav && flac -s -f --keep-foreign-metadata tone.wav -o tone-12000-6.flac
tone 22050 1 tone.wav && oggenc -Q -s 2 -q 3 tone.wav -o tone-22050-1.ogg
tone 16000 1 tone.wav && flac -s -f tone.wav -o tone-16000-1.flac
ffmpeg -v error -y -i tone.wav -c:a libopus tone.opus.ogg
ffmpeg -v error -y -f lavfi -i color=red:size=8x8 -frames:v 1 red.png
rm tone.wav
# The first 4.5 s of jfk.flac (inaugural address of J. F. Kennedy, 1961; public domain), where that is given:
[ $# -eq 0 ] || { ffmpeg -v error -y -i "$1" -t 4.5 -f wav - | oggenc -Q -s 3 -q 2 - -o speech-16000-1.ogg; }
