"""
Sending by workers on other machines.

| file | part |
|---|---|
| ``coordinator`` | this side: hands out a run's letters, each once, and takes the answers |
| ``task`` | the worker's side: what Dask runs there for each chunk |
| ``link``, ``send_streamed`` | its connection to the coordinator; how it sends |
| ``wire``, ``identity`` | the frames between the two; certificates |
| ``scheduler`` | Dask: the only module that imports it, and only a run with a cluster does |

Dask carries tickets alone, which have no endpoint and no key: whatever it runs again, only
the coordinator gives letters away.
"""
