"""What can be made of a caption as text: cleaned by rule, rewritten by a model and checked, turned wrong on purpose. Pure functions."""
