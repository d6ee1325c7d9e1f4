"""The forms in which annotation tools and corpora keep their annotation: recognising, reading and writing them."""
