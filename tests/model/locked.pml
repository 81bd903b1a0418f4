/* The paper's locked double ring, as reconstructed: two producers, each of which may die or stand still before every
   access; a lock that is robbed when its lease runs out, which is any time; a consumer that steps over an entry that
   stays damaged. It has to FAIL what the lossless ring holds: nothing twice, no gap, nothing lost. */

#define ENTRIES 2
#define RECORDS 2

byte lock;                          /* life of the holder; 0: free */
bool busy[ENTRIES];                 /* the size ring; its length and position are those of the entry here */
byte first_half[ENTRIES], second_half[ENTRIES]; /* the buffer ring: life, sequence of the record in one byte each */
byte tail, head;
byte ended;
byte appended[3], handled[3];       /* what only the observer knows */

#define RECORD(life, sequence) ((life) * 4 + (sequence))
#define LIFE(record) ((record) / 4)
#define SEQUENCE(record) ((record) % 4)
#define OR_DIE if :: true :: goto over fi

proctype producer(byte life) {
  byte sequence = 0, ticket;
  do
  :: sequence == RECORDS -> break
  :: else ->
     tail - head < ENTRIES;
     /* one compare-and-swap: of a free lock, or of one whose lease is over */
     atomic { lock != life -> lock = life }
     OR_DIE;
     ticket = tail;
     if
     :: ticket - head >= ENTRIES -> skip
     :: else ->
        OR_DIE;
        busy[ticket % ENTRIES] = true;
        OR_DIE;
        tail = ticket + 1;
        OR_DIE;
        first_half[ticket % ENTRIES] = RECORD(life, sequence);
        OR_DIE;
        second_half[ticket % ENTRIES] = RECORD(life, sequence);
        sequence++;
        appended[life]++
     fi;
     OR_DIE;
     atomic {
       if
       :: lock == life -> lock = 0
       :: else -> skip /* robbed meanwhile */
       fi
     }
  od;
over:
  ended++
}

proctype consumer() {
  byte x, y, k;
  do
  :: head < tail && busy[head % ENTRIES] ->
     x = first_half[head % ENTRIES];
     y = second_half[head % ENTRIES];
     if
     :: x == y && x > 0 -> /* the checksum fits */
        d_step {
          k = LIFE(x);
          assert(SEQUENCE(x) >= handled[k]); /* twice, or a ghost of an earlier lap */
          assert(SEQUENCE(x) <= handled[k]); /* gap */
          handled[k]++
        }
     :: x != y || x == 0 -> skip /* damaged, or not there yet, for longer than the time-out: step over */
     fi;
     busy[head % ENTRIES] = false;
     head++
  :: ended == 2 && head == tail ->
     assert(handled[1] == appended[1]); /* lost */
     assert(handled[2] == appended[2]);
     break
  od
}

init {
  atomic {
    run producer(1);
    run producer(2);
    run consumer()
  }
}
