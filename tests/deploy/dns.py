"""A server of names for one network: the addresses that names have at the moment, as an engine's own server tells them.

It answers questions for IPv4 addresses (RFC 1035), and knows nothing of the world outside.
"""

import socket
import struct
import threading

ADDRESS, INTERNET = 1, 1
RECURSIVE, ANSWER, NO_SUCH_NAME = 0x0100, 0x8180, 3
# The name is the one at the question's place.
SAME_NAME = 0xC00C


class Names:
    """Serves at port 53 of an address until it is closed."""

    def __init__(self, address, look_up):
        """`look_up` gives the addresses of a name, none for one that nobody has."""
        self.look_up = look_up
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                question, whom = self.socket.recvfrom(4096)
            except OSError:
                return
            try:
                self.socket.sendto(self.answer(question), whom)
            except (OSError, struct.error, IndexError, UnicodeDecodeError):
                # It is asked again, or who asked is gone.
                continue

    def answer(self, question):
        number = question[:2]
        at, labels = 12, []
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode("ascii"))
            at += 1 + length
        asked = question[12 : at + 5]
        kind, _ = struct.unpack(">HH", question[at + 1 : at + 5])
        found = self.look_up(".".join(labels).lower())
        told = found if kind == ADDRESS else []
        flags = ANSWER if found else ANSWER | NO_SUCH_NAME
        head = number + struct.pack(">HHHHH", flags, 1, len(told), 0, 0)
        record = struct.pack(">HHHIH", SAME_NAME, ADDRESS, INTERNET, 1, 4)
        return head + asked + b"".join(record + socket.inet_aton(address) for address in told)

    def close(self):
        self.socket.close()
