/* The ring of single-producer lanes: two producer lives and a third that takes over a lane, one consumer that starts
   again. No slots, no compare-and-swap: who commits moves the end of its own lane.

   Any life may die, or stand still, before every access to shared memory. The consumer looks at the lanes in any order,
   acknowledges when it likes, and may die between any two of its steps, also while it gives a lane back, word by word.
   A record has two units, a lane five, so that the second record of a lap does not fit before the lane's end and jumps.

   Asserted: nothing torn (the units differ), no ghost (another life's record, or another one of this life), nothing
   handled twice that was not said to be redelivered, no gap, and when all is quiet everything that was committed has
   been handled. Who waits for ever, for credit or for a lane, is an invalid end state.

   Mutants, each has to fail: -DEND_BEFORE_RECORD (no flush in between), -DEQUAL_IS_DRAINED (a lane is drained when its
   two ends are equal; the consumer dies while it clears them). */

#define UNITS 5
#define LIVES 3
#define RECORDS 3 /* of life 1; the others have one */

typedef Lane { byte life; byte written; byte jump; byte consumed };
Lane lane[2];
byte unit[10]; /* both lanes: life, sequence */
bool dead[4];  /* proven: nothing of that life will be written any more */
byte ended;    /* lives that have ended */

byte appended[4], handled[4]; /* what only the observer knows */

#define RECORD(life, sequence) ((life) * 4 + (sequence))
#define LIFE(record) ((record) / 4)
#define SEQUENCE(record) ((record) % 4)
#define UNIT(l, position) unit[(l) * UNITS + (position) % UNITS]
#define START(end) ((end) % UNITS + 2 <= UNITS -> (end) : (end) - (end) % UNITS + UNITS)
#ifdef EQUAL_IS_DRAINED
#define NEW(end, cursor) ((end) != (cursor))
#define DRAINED(l) (lane[l].consumed == lane[l].written)
#else
#define NEW(end, cursor) ((end) > (cursor))
#define DRAINED(l) (lane[l].consumed >= lane[l].written)
#endif
#define OR_DIE if :: true :: goto over fi
#define OR_CRASH if :: true :: goto start fi

inline write_record() {
  UNIT(mine, start) = RECORD(life, sequence);
  OR_DIE;
  UNIT(mine, start + 1) = RECORD(life, sequence);
  OR_DIE
}

inline commit() {
  atomic { lane[mine].written = start + 2; appended[life]++ }
}

inline live() {
  do
  :: sequence == records -> break
  :: else ->
     start = START(end);
     /* credit; nobody else writes the lane, and what was free stays free */
     lane[mine].consumed == end || start + 2 - lane[mine].consumed <= UNITS;
     OR_DIE;
     if
     :: start != end -> lane[mine].jump = end; OR_DIE
     :: else -> skip
     fi;
#ifdef END_BEFORE_RECORD
     commit();
     OR_DIE;
     write_record();
#else
     write_record();
     commit();
#endif
     end = start + 2;
     sequence++
  od;
over:
  atomic { dead[life] = true; ended++ }
}

proctype producer(byte life; byte mine; byte records) {
  byte sequence, end, start;
  live()
}

proctype successor() {
  byte life = 3, records = 1, mine, sequence, end, start;
  atomic {
    if
    :: lane[0].life == 0 -> mine = 0
    :: lane[1].life == 0 -> mine = 1
    fi;
    lane[mine].life = 3
  }
  live()
}

inline look(l) {
  if
  :: known[l] != lane[l].life -> d_step { known[l] = lane[l].life; cursor[l] = 0; fresh[l] = 0 }
  :: else -> skip
  fi;
  if
  :: NEW(lane[l].written, cursor[l]) ->
     if
     :: cursor[l] % UNITS != 0 && lane[l].jump == cursor[l] -> cursor[l] = cursor[l] - cursor[l] % UNITS + UNITS
     :: else -> skip
     fi;
     x = UNIT(l, cursor[l]);
     y = UNIT(l, cursor[l] + 1);
     assert(x == y);                                                  /* torn */
     assert(LIFE(x) == known[l]);                                     /* ghost */
     assert(SEQUENCE(x) <= handled[known[l]]);                        /* gap */
     assert(SEQUENCE(x) == handled[known[l]] || cursor[l] < fresh[l]); /* twice */
     if
     :: SEQUENCE(x) == handled[known[l]] -> handled[known[l]]++
     :: else -> skip
     fi;
     cursor[l] = cursor[l] + 2;
     x = 0; y = 0
  :: else -> skip
  fi
}

inline give_back(l) {
  lane[l].written = 0;
  OR_CRASH;
  lane[l].jump = 0;
  OR_CRASH;
  lane[l].consumed = 0;
  OR_CRASH;
  lane[l].life = 0
}

proctype consumer() {
  byte x, y, known[2], cursor[2], fresh[2];
start:
  atomic {
    x = 0; y = 0;
    known[0] = lane[0].life; cursor[0] = lane[0].consumed; fresh[0] = lane[0].written;
    known[1] = lane[1].life; cursor[1] = lane[1].consumed; fresh[1] = lane[1].written
  }
  do
  :: lane[0].life != 0 && (known[0] != lane[0].life || NEW(lane[0].written, cursor[0])) -> look(0); OR_CRASH
  :: lane[1].life != 0 && (known[1] != lane[1].life || NEW(lane[1].written, cursor[1])) -> look(1); OR_CRASH
  :: known[0] == lane[0].life && cursor[0] > lane[0].consumed -> lane[0].consumed = cursor[0]; OR_CRASH
  :: known[1] == lane[1].life && cursor[1] > lane[1].consumed -> lane[1].consumed = cursor[1]; OR_CRASH
  :: lane[0].life != 0 && dead[lane[0].life] && ended < LIVES && DRAINED(0) -> give_back(0)
  :: lane[1].life != 0 && dead[lane[1].life] && ended < LIVES && DRAINED(1) -> give_back(1)
  :: ended == LIVES && DRAINED(0) && DRAINED(1) ->
     assert(handled[1] == appended[1]); /* lost */
     assert(handled[2] == appended[2]);
     assert(handled[3] == appended[3]);
     break
  od
}

init {
  atomic {
    lane[0].life = 1;
    lane[1].life = 2;
    run producer(1, 0, RECORDS);
    run producer(2, 1, 1);
    run successor();
    run consumer()
  }
}
