"""What goes to other tools and comes from them: tasks, interfaces, formats, imports, a Label Studio server."""

from spacy_domain_ner.exchange.interfaces import doccano_interface, label_studio_interface, prodigy_interface

__all__ = ["doccano_interface", "label_studio_interface", "prodigy_interface"]
