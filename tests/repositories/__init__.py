"""Package repositories that tests make, sign and serve: real binaries, throw-away keys.

.. code:: python

    def test_something(package_server: Server, targets: Fleet) -> None:
        mirror = DockerMirror(package_server, "trixie", ["1.7", "2.1"])
        repository = Repository(**mirror.fields())
        with package_server.answering("*/InRelease", status(404)):
            ...
"""
