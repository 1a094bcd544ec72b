"""The page that tells of evaluations: what is read, what is counted, what is drawn, and the HTML around it."""
