-- Who accounts for numbers must know that they are judged by the key that made them.

GRANT SELECT ON public.allocator TO tracking_reporter;
