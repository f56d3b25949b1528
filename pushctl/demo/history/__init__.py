"""
A generated history: a whole project with a year of people, messages, events and orders.

    python -m pushctl.demo.history --people 20000 --deliveries 300000 --seed 7 FOLDER

Everything is made up, but by the real schema and by the lots that the program draws. What is
planted in it (planted.py) has true values, which stand in the folder's planted.json: figures
should find them. The same seed makes the same rows.
"""
