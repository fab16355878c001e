"""The model side: where its files are, its tokenizer and template, its module tree, how it is built."""
