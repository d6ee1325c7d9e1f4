"""The forms in which annotation tools and corpora keep their annotation: recognising, reading and writing them."""

# The formats that can be read, each with its name in messages.
FORMATS = {
    "label-studio": "Label Studio JSON",
    "label-studio-min": "Label Studio JSON_MIN",
    "label-studio-csv": "Label Studio CSV or TSV",
    "doccano": "doccano JSONL",
    "prodigy": "Prodigy JSONL",
    "huggingface": "Hugging Face tokens and tags",
    "gliner": "GLiNER JSON",
    "conll": "CoNLL / BIO",
    "webanno-tsv": "WebAnno TSV 3",
    "uima": "UIMA CAS (XMI or JSON)",
    "brat": "brat stand-off",
    "docbin": "spaCy DocBin",
    "spacy-json": "spaCy 2 training JSON",
    "train-data": "spaCy TRAIN_DATA",
    "dataturks": "DataTurks JSON",
}
