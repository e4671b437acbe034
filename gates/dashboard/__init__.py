"""What the dashboard at `/` is made of: a page of plain ES modules and CSS, and the live pictures that it draws from.

The page holds no data, so that it may be given to anybody; what it shows comes from the API, as whoever looks at it.

files    the page, its parts, and the chart library that the Python package plotly carries
feed     pictures of how things stand, drawn once for all who watch
"""
