import glob
import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

folder = "FOLDER"
root_key = "ROOT_KEY"


def mac(key, *parts):
    made = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        made.update(struct.pack("<Q", len(part)) + part)
    return made.digest()


def root_keys():
    """The root key and those that are kept beside it, by their ids."""
    keys = {}
    for path in [root_key, *glob.glob(glob.escape(root_key) + ".*")]:
        with open(path, "rb") as file:
            data = file.read()
        if data[:10] == b"HWROOTK1\x01\x00" and len(data) == 66:
            keys[data[18:26]] = data[26:58]
    return keys


def segments():
    """(number, file, key) of every segment, by device and number, as the keystore has them now."""
    with open(os.path.join(folder, "keystore"), "rb") as file:
        data = file.read()
    if data[:10] != b"HWKEYST1\x02\x00" or hashlib.sha256(data[:-8]).digest()[:8] != data[-8:]:
        raise SystemExit(f"{folder}: the keystore is damaged, or of another version")
    root = root_keys().get(data[10:18])
    if root is None:
        raise SystemExit(f"{folder} was made with root key {data[10:18].hex()}, which is not at {root_key}")
    name, body = data[18:34], data[:-40]

    def derived(label):
        return mac(root, b"headwater derive v1\0", label, b"\0", name)

    if not hmac.compare_digest(mac(derived(b"keystore"), body), data[-40:-8]):
        raise SystemExit(f"{folder}: the seal of the keystore does not fit")

    def unwrapped(key, kind, what, wrapped):
        return AESGCM(key).decrypt(wrapped[:12], wrapped[12:], name + bytes([kind]) + what)

    wrap, at, devices, found = derived(b"wrap"), 42, {}, []
    while at < len(body):
        kind = body[at]
        fixed = {1: 16, 2: 24, 3: 8, 4: 8, 5: 0}[kind]
        what = body[at + 1 : at + 1 + fixed]
        (length,) = struct.unpack_from("<I", body, at + 1 + fixed)
        wrapped = body[at + 5 + fixed : at + 5 + fixed + length]
        at += 5 + fixed + length
        if kind == 1:
            devices[what] = unwrapped(wrap, kind, what, wrapped)
        elif kind == 2:
            found.append((what, wrapped))
    opened = []
    for what, wrapped in found:
        device, number = devices[what[8:]], int.from_bytes(what[:8], "little")
        file = os.path.join(folder, f"{number:08}-{what[8:12].hex()}.parquet")
        opened.append((device[32:], number, file, unwrapped(device[:32], 2, what, wrapped)[:32]))
    return [(number, file, key) for _, number, file, key in sorted(opened)]


def every(read):
    """What `read` makes of each segment; from the beginning where the pipeline has joined some meanwhile."""
    for left in range(5, -1, -1):
        try:
            return [read(number, file, key) for number, file, key in segments()]
        except FileNotFoundError:
            if left == 0:
                raise
