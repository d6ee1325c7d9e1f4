"""Files where Spark has them: on this machine, in HDFS, in an object store."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Storage:
    """Looks at files and moves them, with the file systems that Spark itself uses."""

    def __init__(self, spark: "SparkSession") -> None:
        self._jvm: Any = spark._jvm
        self._settings: Any = spark._jsc.hadoopConfiguration()

    def whole(self, path: str) -> str:
        """A path with all that it leaves out: the file system, and the folder in which a relative one begins."""
        place, files = self._place(path)
        return str(files.makeQualified(place).toString()).rstrip("/")

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        place, files = self._place(path)
        return bool(files.exists(place))

    def found(self, pattern: str) -> list[str]:
        """The files and folders that a path with wildcards stands for."""
        place, files = self._place(pattern)
        return [str(status.getPath().toString()) for status in files.globStatus(place) or []]

    def files_in(self, path: str) -> list[tuple[str, int]]:
        """The files in a folder and in the folders in it, with their sizes in bytes; a file is in itself.

        What Spark takes for hidden, since it begins with a dot or an underscore, is left out.
        """
        place, files = self._place(path)
        top = files.makeQualified(place).toString()
        each = files.listFiles(place, True)
        found = []
        while each.hasNext():
            status = each.next()
            name = str(status.getPath().toString())
            inside = [part for part in name[len(top) :].split("/") if part]
            if not any(part.startswith((".", "_")) and "=" not in part for part in inside):
                found.append((name, int(status.getLen())))
        return found

    def names(self, folder: str) -> list[str]:
        """The names in a folder, hidden ones too; none where there is no folder."""
        place, files = self._place(folder)
        if not files.exists(place):
            return []
        return sorted(str(status.getPath().getName()) for status in files.listStatus(place))

    def read(self, path: str) -> str:
        """The text of a file."""
        place, files = self._place(path)
        stream = files.open(place)
        try:
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def write(self, path: str, text: str) -> None:
        """Write a file beside its place, and rename it."""
        beside = f"{path}.tmp"
        place, files = self._place(beside)
        stream = files.create(place, True)
        try:
            stream.write(bytearray(text.encode("utf8")))
        finally:
            stream.close()
        self.move(beside, path)

    def move(self, path: str, target: str) -> None:
        """Rename a file; its new folder is there.

        Raises:
            OSError: The file system did not do so.
        """
        place, files = self._place(path)
        if not files.rename(place, self._place(target)[0]):
            raise OSError(f"{path} can't be renamed to {target}")

    def delete(self, path: str) -> None:
        """Remove a file or folder, if it is there."""
        place, files = self._place(path)
        files.delete(place, True)

    def _place(self, path: str) -> tuple[Any, Any]:
        place = self._jvm.org.apache.hadoop.fs.Path(path)
        return place, place.getFileSystem(self._settings)
