#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Sends the files of a spool folder to ClickHouse, oldest first, and removes each file that ClickHouse has taken.
#
#	ship.sh URL SPOOL TABLE [MEGABYTES]
#
# While ClickHouse is away, slow or full, the files stay. When they take more than MEGABYTES (1024), the oldest files go: the script
# counts their rows in SPOOL/lost and runs $RESTART, so that task-iter begins anew with a full snapshot. Exit status: 0 all sent,
# 1 some files stay, 2 some files were lost.
set -u
url=$1 spool=$2 table=$3 limit=${4:-1024} status=0

query="INSERT+INTO+$table+FORMAT+JSONEachRow&date_time_input_format=best_effort&input_format_skip_unknown_fields=1"
for file in "$spool"/*.jsonl; do
	[ -f "$file" ] || continue
	# A file that was sent may be sent again, when the answer was lost: questions take the last row of each thing.
	if curl --silent --show-error --fail --max-time 60 --output /dev/null --data-binary "@$file" "$url/?query=$query"; then
		rm -f "$file"
	else
		status=1
		break
	fi
done

lost=0
for file in "$spool"/*.jsonl; do
	[ -f "$file" ] || continue
	[ "$(du --summarize --bytes "$spool" | cut -f 1)" -gt $((limit * 1048576)) ] || break
	lost=$((lost + $(wc -l < "$file")))
	rm -f "$file"
done
if [ "$lost" -gt 0 ]; then
	before=$(cat "$spool/lost" 2> /dev/null || echo 0)
	echo $((before + lost)) > "$spool/lost"
	echo "ship.sh: $lost rows of $table lost: the spool had more than $limit MB" >&2
	${RESTART:-true}
	status=2
fi
exit $status
