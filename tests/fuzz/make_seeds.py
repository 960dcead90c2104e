"""Writes seeds/pth (pickles out of the checkpoint fixtures) and the HDF5 files of seeds/hdf5 that other programs would
write. Needs h5py. The records among seeds/hdf5 come from make_record_seeds."""
import pathlib
import zipfile

import h5py
import numpy as np

here = pathlib.Path(__file__).parent
for file in sorted((here / "../checkpoint/fixtures").glob("zip_*.pth")):
    with zipfile.ZipFile(file) as archive:
        name = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
        (here / "seeds/pth" / (file.stem[4:] + ".pkl")).write_bytes(archive.read(name))


def write(name, noise, labels=None, text=None, libver="earliest", **options):
    with h5py.File(here / "seeds/hdf5" / name, "w", libver=libver) as file:
        file.create_dataset("noise", data=noise, **options)
        if labels is not None:
            file.create_dataset("group/labels", data=labels)
        if text is not None:
            file.attrs["extractor"] = text


numbers = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
write("plain.h5", numbers, np.arange(3), np.bytes_("0123abcd"))
write("latest.h5", numbers, np.arange(3, dtype=np.int8), np.bytes_("0123abcd"), libver="latest")
write("chunked.h5", numbers, chunks=(1, 2, 4), compression="gzip", shuffle=True, fletcher32=True)
write("chunked_latest.h5", numbers, libver="v110", chunks=(1, 2, 4), compression="gzip", maxshape=(None, None, 4))
write("big_endian.h5", numbers.astype(">f8"), np.arange(3, dtype=">u2"))
write("half.h5", numbers.astype(np.float16), text="of any length")
write("scale_offset.h5", np.arange(24), chunks=(8,), scaleoffset=0)
write("compound.h5", np.zeros(2, dtype=[("a", "f4"), ("b", "S3")]))
write("texts.h5", np.array(["a", "bc"], dtype=h5py.string_dtype()))
write("empty.h5", np.zeros((0, 4), dtype=np.float32))
with h5py.File(here / "seeds/hdf5/many.h5", "w") as file:
    for i in range(40):
        file[f"group/member_{i}"] = i
    file["noise"] = h5py.SoftLink("/group/member_7")
    file["group/labels"] = h5py.ExternalLink("plain.h5", "noise")
with h5py.File(here / "seeds/hdf5/user_block.h5", "w", userblock_size=512) as file:
    file["noise"] = numbers
