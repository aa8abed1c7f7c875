"""Reading the files other people publish: checked by md5 before a byte of them is believed."""
