"""The words that invented people, places and companies are named with."""

from __future__ import annotations

FIRST_NAMES = """
    Ada Agnes Aisha Alan Alice Amelia Anwen Arthur Beatrice Bethan Brian Callum Carys Charlotte Daniel Dafydd Diana
    Dylan Edith Eleanor Emrys Esther Ewan Fatima Fiona Florence George Grace Hannah Harriet Hugh Imogen Iris Isaac
    Jack Jasmine Joan Joseph Karim Keira Leah Liam Lowri Mabel Margaret Megan Mohammed Nadia Niall Nora Oliver Olwen
    Omar Oscar Owen Patrick Petra Priya Rachel Rhys Robert Rosa Ruth Samuel Sian Sophie Stella Thomas Tomos Una
    Victor Violet Walter Winifred Yusuf Zoe
""".split()
LAST_NAMES = """
    Abbott Ahmed Archer Ashworth Atkins Bailey Barlow Bevan Blackwell Bowen Brennan Calloway Carter Chandler Clarke
    Cooper Crawford Dalton Davies Dixon Doyle Edwards Ellis Evans Fairfax Fletcher Foster Gallagher Garside Gibbons
    Griffiths Hale Harris Hartley Hayes Hughes Hussain Ingram Jackson James Jenkins Jones Kaur Kendrick Khan King
    Lewis Lloyd Marsh Mason Meredith Morgan Nash Norris Oakley Owen Parry Patel Pearson Powell Price Pritchard Quinn
    Rees Reid Roberts Rowlands Sharma Shaw Singh Stokes Sutton Thatcher Thomas Tucker Turner Vaughan Walsh Watkins
    Webb Whitfield Williams Wood Wyatt Yates
""".split()
PLACES = """
    Aberdare Alton Ashford Bala Banbury Bedford Brecon Bristol Buxton Cardiff Chepstow Conwy Corby Derby Dover
    Durham Exeter Falmouth Gloucester Grimsby Halifax Hereford Ipswich Kendal Kidwelly Lancaster Leeds Lincoln
    Ludlow Luton Malvern Margate Neath Newport Norwich Oxford Penarth Preston Ramsgate Reading Rhyl Ripon Salford
    Stirling Swansea Taunton Tenby Truro Wells Whitby Wigan Worcester Wrexham Yeovil York
""".split()
TRADES = (
    "Services",
    "Engineering",
    "Construction",
    "Foods",
    "Transport",
    "Retail",
    "Textiles",
    "Joinery",
    "Bakery",
    "Brickworks",
    "Horologists",
)
TRADE_WEIGHTS = (30, 18, 15, 10, 9, 8, 4, 3, 2, 0.9, 0.1)
LEGAL_FORMS = ("Ltd", "PLC", "LLP", "& Sons", "Partnership")
LEGAL_FORM_WEIGHTS = (76, 8, 7, 6, 3)
