module ringlog

go 1.23
