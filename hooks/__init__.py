"""What tells others of what happens here. It looks on, and can never hold up or break supervision.

- ``notices``: what is worth telling a person, derived from what the core did. Pure.
- ``notifier``: queues, limits and circuits between that and its receivers.
- ``webhook``, ``command``: the receivers.
"""
