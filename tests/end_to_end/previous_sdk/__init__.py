"""The SDKs of 2fccc5f, as `git archive 2fccc5f client_sdk core_api/pages/static/yabam` gives them.

They are the last ones from before the content digest and the layout in rooms. They stand here as a
file because a clone need not have the history.
"""
