"""The SDKs of 2fccc5f, from `git archive 2fccc5f client_sdk core_api/pages/static/yabam`.

They are the last ones before the content digest and the present folders. They are a file here, as a
clone need not have the history.
"""
