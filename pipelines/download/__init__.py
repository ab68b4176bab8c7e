"""Downloads lists of URLs into bronze WebDataset shards, which are then listed like any other.

    settings   what a user may say          urllist   rows of the list, in blocks that become shards
    job        all blocks of a list         shard     one block: its part file, and the finished tar
    fetch      one URL, with retries        client    one safe GET, redirects followed hop by hop
    addresses  what may be connected to     hosts     how many requests a host gets, and when
    robots     robots.txt                   opt_out   what a response's headers forbid
    body       reading within limits        faults    why a URL gave nothing
    again      fetching failures once more  state     what a folder of downloads remembers

See docs/sources.md. Nothing is imported here: `pipelines.sources.spec` needs the settings alone.
"""
