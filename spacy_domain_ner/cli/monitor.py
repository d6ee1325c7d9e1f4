"""domain-ner monitor sample, domain-ner monitor estimate"""

from spacy_domain_ner.cli._app import verb_group

monitor = verb_group("monitor", "See whether a model at work is still good.")
