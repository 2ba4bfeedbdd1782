"""The review page: events judged by their charts, on this machine, in a browser.

Belongs here: what the page asks for (`desk`), who may ask (`app`), the server (`server`), and the
page itself (`page.html`, `page.css`, `page.js`).
Keep out: which events are judged and what is made of it (`report`), and drawing (`report`).
"""

from smallcaps_pipeline.review.desk import Desk
from smallcaps_pipeline.review.server import ReviewServer, serve

__all__ = ["Desk", "ReviewServer", "serve"]
