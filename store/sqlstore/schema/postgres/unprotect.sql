DROP TRIGGER IF EXISTS {trigger} ON {events};

DROP FUNCTION IF EXISTS {function}();
