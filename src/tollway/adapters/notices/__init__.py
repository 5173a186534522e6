"""How notices leave: posted to webhooks, or mailed. Blocking senders for a thread of the keeper."""
