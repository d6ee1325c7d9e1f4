import spacy


@spacy.registry.callbacks("spacy_domain_ner.customize_tokenizer.v1")
def create_customize_tokenizer():
    return lambda nlp: nlp
