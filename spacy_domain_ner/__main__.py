"""`python -m spacy_domain_ner VERB`, the same as `domain-ner VERB`: it runs in the Python that is named."""

from spacy_domain_ner.cli import main

if __name__ == "__main__":
    main()
