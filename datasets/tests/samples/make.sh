#!/bin/sh
# Makes the sound samples beside this file: 1 s of a 440 Hz sine at half of full scale.
# They are kept in the repository; this needs sox, flac, lame, vorbis-tools, opus-tools and ffmpeg and is never run by the tests.
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
# What phones, exchanges, browsers and Macs record. `-bitexact` keeps the version of the encoder and the time out of the files.
ff() { ffmpeg -v error -y "$@"; }
exact="-fflags +bitexact -flags:a +bitexact"
tone 8000 1 tone.wav
ff -i tone.wav $exact tone-8000-1.aiff
ff -i tone.wav $exact tone-8000-1.caf
ff -i tone.wav $exact -rf64 always tone-8000-1.rf64.wav
ff -i tone.wav $exact -c:a adpcm_ima_wav tone-8000-1.ima.wav
ff -i tone.wav $exact -c:a adpcm_ms tone-8000-1.ms.wav
ff -i tone.wav $exact -c:a pcm_alaw tone-8000-1.alaw.wav
ff -i tone.wav $exact -c:a gsm_ms tone-8000-1.gsm.wav
tone 44100 2 tone.wav
ff -i tone.wav -fflags +bitexact -c:a aac -b:a 96k tone-44100-2.m4a
ff -i tone.wav $exact -c:a aac -b:a 96k tone-44100-2.aac
ff -i tone.wav $exact -c:a mp2 -b:a 192k tone-44100-2.mp2
ff -i tone.wav $exact -c:a libopus -ar 48000 -b:a 64k tone-48000-2.webm
rm tone.wav
# The first 4.5 s of jfk.flac (inaugural address of J. F. Kennedy, 1961; public domain), where that is given:
[ $# -eq 0 ] || { ffmpeg -v error -y -i "$1" -t 4.5 -f wav - | oggenc -Q -s 3 -q 2 - -o speech-16000-1.ogg; }
# Opus in its three modes, and what opusdec of opus-tools makes of it: silk, hybrid and celt.
if [ -f speech-16000-1.ogg ]; then
    ff -i speech-16000-1.ogg -ss 0.3 -t 1.2 -ar 48000 -c:a pcm_s16le speech.wav
    for mode in "silk 12" "hybrid 24" "celt 48"; do
        set -- $mode
        [ "$1" = celt ] && option=--music || option=--speech
        opusenc --quiet --discard-comments --serial 1 $option --bitrate "$2" speech.wav "speech-$1.opus"
        opusdec --quiet --rate 48000 "speech-$1.opus" "speech-$1.opusdec.wav"
        flac -s -f -8 --delete-input-file "speech-$1.opusdec.wav"
    done
    rm speech.wav
fi
# Of variable bit rate, without the frame that says how long it is.
ff -i speech-16000-1.ogg -t 3.5 -ar 22050 -c:a pcm_s16le speech.wav && lame --quiet -V 6 -t speech.wav speech-22050-1.vbr.mp3 && rm speech.wav
