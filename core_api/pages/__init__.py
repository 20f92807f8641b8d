"""The pages that Core serves: the owner's terminal, the guest's table, and what they are made of.

They are plain files, sent as they are: no build step, no template, nothing from another host.
Whoever opens them needs no token; the pages call the API with one, like any other client.
"""
