"""First labels without a labelling phase: what is known of a domain before anybody has labelled, on unlabelled text."""
