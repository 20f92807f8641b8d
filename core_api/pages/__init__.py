"""The pages that Core serves: the owner's terminal, the guest's table, and their shared files.

They are plain files, sent as they are: no build step, no template, nothing from another host.
Opening them needs no token; the pages call the API with one, like any other client.
"""
