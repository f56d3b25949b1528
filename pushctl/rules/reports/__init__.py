"""Reports as pages: charts as SVG, words in the reader's language, colours."""
