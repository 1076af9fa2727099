"""The static site: results as pages that open from a file or any web server, and ask nobody else for anything.

    unite-bench leaderboard --committed --site OUT

`collect` gathers what the pages tell, `pages` writes them from `templates/`, and `assets/` drives them in the browser. What
a page needs only at times lies in `data/` as scripts, since a page opened from a file may not fetch.
"""

from unite_bench.report.site.build import Built as Built
from unite_bench.report.site.build import write_site as write_site
