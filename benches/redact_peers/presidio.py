"""Presidio's pattern recognisers (English, no model: blank tokens) over JSON lines {"id", "text"}: megabytes per CPU second."""
import json, sys, time
from presidio_analyzer import RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts
import spacy

texts = [json.loads(line)['text'] for line in open(sys.argv[1], encoding='utf-8')]
limit = float(sys.argv[2]) * 1e6
nlp = spacy.blank('en')
registry = RecognizerRegistry()
registry.load_predefined_recognizers(languages=['en'])
recognisers = [r for r in registry.recognizers if 'Spacy' not in type(r).__name__]


class Engine:
    def is_loaded(self): return True
    def get_supported_languages(self): return ['en']
    def is_stopword(self, word, language): return False
    def is_punct(self, word, language): return False


def scan(text):
    doc = nlp(text)
    artifacts = NlpArtifacts([], doc, [t.idx for t in doc], [t.text.lower() for t in doc], Engine(), 'en')
    for recogniser in recognisers:
        recogniser.analyze(text, recogniser.supported_entities, artifacts)


scan('warm up 555-0147')
start, scanned = time.process_time(), 0
while scanned < limit:
    for text in texts:
        scanned += len(text.encode())
        scan(text)
        if scanned >= limit:
            break
cpu = time.process_time() - start
print(f'{"presidio, patterns":<34} {"":<11} {scanned / 1e6:>9.1f} {cpu:>9.2f} {"":>9} {scanned / 1e6 / cpu:>9.2f}')
