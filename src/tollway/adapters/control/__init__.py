"""How the processes of one machine talk: control sockets, the lifeline, the snapshot file."""
