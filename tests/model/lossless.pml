/* The lossless inbox: two producer lives and a third that takes over a lane, one consumer that starts again.

   Any life may die, or stand still for as long as it likes, before every access to shared memory. The consumer may skip
   a silent slot at any time, and may die between any two of its steps, above all between handling and acknowledging.
   Each lane has room for one record, so its bytes are written over as soon as they may be; each record is written and
   read in two halves.

   Asserted: nothing torn (halves differ), no ghost (what is handled is what was committed for that ticket), nothing
   handled twice, no gap within a life, and when all is quiet everything that was committed has been handled. A state in
   which somebody waits for ever is an invalid end state, which SPIN reports by itself.

   Mutants, each has to fail: -DPAYLOAD_IN_SLOT, -DSKIP_BY_STORE, -DNO_SEQUENCE, -DREUSE_BEFORE_FENCING.
   Liveness: -DLIVE, with weak fairness: under at most SKIPS skips per record of a living producer and CRASHES deaths of
   the consumer, every record of those that live is committed and handled. */

#define SLOTS 2
#ifdef SUCCESSOR
#define LIVES 3 /* 1 and 2 at the start; 3 joins when a lane is given back */
#else
#define LIVES 2
#endif
#ifndef RECORDS
#define RECORDS 1 /* of life 1; the others have one */
#endif
#ifndef TICKETS
#define TICKETS 4 /* where the model ends: who would take more gives up */
#endif
#define SKIPS 1
#define CRASHES 1

mtype = { FREE, READY, SKIPPED };
typedef Slot { mtype state = FREE; byte lap; byte lane };
typedef Lane { byte life; byte consumed; byte acknowledged; byte noticed };
Slot slot[SLOTS];
Lane lane[2];
byte first_half[2], second_half[2]; /* of the record in a lane: ticket, life, sequence in one byte each */
byte tail, head;
bool dead[4]; /* proven: nothing of that life will be written any more */
byte ended;           /* lives that have ended */
bool joined;          /* the third life has its lane, or will never have one */

/* What only the observer knows. */
byte committed[TICKETS]; /* life, sequence of the record that was committed for a ticket */
byte appended[4], handled[4];
#ifdef LIVE
byte owner[TICKETS], skips[4];
byte crashes;
#endif

#define RECORD(ticket, life, sequence) ((ticket) * 16 + (life) * 4 + (sequence))
#define LIFE(record) ((record) / 4 % 4)
#define SEQUENCE(record) ((record) % 4)
#define LAP(ticket) ((ticket) / SLOTS)
#define SLOT(ticket) slot[(ticket) % SLOTS]
#ifdef PAYLOAD_IN_SLOT
#define PLACE(lane, ticket) ((ticket) % SLOTS)
#else
#define PLACE(lane, ticket) (lane)
#endif
#ifdef LIVE
#define MAY_DIE (life == 2)
#define MAY_SKIP (dead[owner[head]] || skips[owner[head]] < SKIPS)
#define MAY_CRASH (crashes < CRASHES)
#define COUNT_CRASH crashes++
#else
#define MAY_DIE true
#define MAY_SKIP true
#define MAY_CRASH true
#define COUNT_CRASH skip
#endif
#define OR_DIE if :: true :: MAY_DIE -> goto over fi
#define OR_CRASH if :: true :: MAY_CRASH -> COUNT_CRASH; goto start fi

inline live(life, mine, records) {
  byte sequence = 0, ticket;
  bool done;
  do
  :: sequence == records -> break
  :: else ->
     done = false;
     /* credit: the lane's bytes are free, the ring has room */
     lane[mine].consumed == sequence;
     do
     :: done -> break
     :: else ->
        tail - head < SLOTS || tail >= TICKETS;
        OR_DIE;
        atomic {
          if
          :: tail < TICKETS -> ticket = tail; tail++
          :: else -> goto over
          fi;
#ifdef LIVE
          owner[ticket] = life
#endif
        }
        OR_DIE;
        first_half[PLACE(mine, ticket)] = RECORD(ticket, life, sequence);
        OR_DIE;
        second_half[PLACE(mine, ticket)] = RECORD(ticket, life, sequence);
        OR_DIE;
        /* one compare-and-swap; while the slot is a lap behind it is asked again */
        atomic {
          SLOT(ticket).lap >= LAP(ticket);
          if
          :: SLOT(ticket).lap == LAP(ticket) && SLOT(ticket).state == FREE ->
             SLOT(ticket).state = READY;
             SLOT(ticket).lane = mine;
             committed[ticket] = life * 4 + sequence;
             appended[life]++;
             sequence++;
#ifdef LIVE
             skips[life] = 0;
#endif
             done = true
          :: else -> skip /* skipped: the same record again, with another ticket */
          fi
        }
     od
  od;
over:
  atomic { dead[life] = true; ended++ }
}

proctype producer(byte life; byte mine; byte records) { live(life, mine, records) }

proctype successor() {
  byte life = 3, mine;
  atomic {
    if
    :: lane[0].life == 0 -> mine = 0
    :: lane[1].life == 0 -> mine = 1
    fi;
    lane[mine].life = 3;
    joined = true
  }
  live(life, mine, 1)
}

inline free_slot(ticket) {
  d_step {
    SLOT(ticket).lap = LAP(ticket) + 1;
    SLOT(ticket).state = FREE;
    SLOT(ticket).lane = 0
  }
}

proctype consumer() {
  byte x, y, l, k, life = 0;
start:
  /* a new life of the consumer: finish the acknowledgement that the last one may have begun */
  atomic { x = 0; y = 0; l = 0; k = 0 }
  if
  :: head > 0 && SLOT(head - 1).lap == LAP(head - 1) && SLOT(head - 1).state == READY ->
     l = SLOT(head - 1).lane;
     x = first_half[PLACE(l, head - 1)];
     y = second_half[PLACE(l, head - 1)];
     if
     :: x == y && x / 16 == head - 1 && lane[l].consumed <= SEQUENCE(x) ->
        lane[l].acknowledged = SEQUENCE(x) + 1;
        OR_CRASH;
        lane[l].consumed = SEQUENCE(x) + 1;
        OR_CRASH
     :: else -> skip
     fi;
     free_slot(head - 1)
  :: head > 0 && SLOT(head - 1).lap == LAP(head - 1) && SLOT(head - 1).state == SKIPPED -> free_slot(head - 1)
  :: else -> skip
  fi;
  do
  :: SLOT(head).lap == LAP(head) && SLOT(head).state == READY ->
     l = SLOT(head).lane;
     x = first_half[PLACE(l, head)];
     y = second_half[PLACE(l, head)];
     assert(x == y);                                /* torn */
     assert(x == head * 16 + committed[head]);      /* ghost */
     d_step {
       k = LIFE(x);
       if
#ifndef NO_SEQUENCE
       :: SEQUENCE(x) < handled[k] -> skip          /* recognised: handled before the consumer died */
#endif
       :: else ->
          assert(SEQUENCE(x) >= handled[k]);        /* twice */
          assert(SEQUENCE(x) <= handled[k]);        /* gap */
          handled[k]++
       fi;
       y = 0; k = 0
     }
     OR_CRASH;
     head++;
     OR_CRASH;
     lane[l].acknowledged = SEQUENCE(x) + 1;
     OR_CRASH;
     lane[l].consumed = SEQUENCE(x) + 1;
     OR_CRASH;
     free_slot(head - 1);
     d_step { x = 0; l = 0 }
  :: SLOT(head).lap == LAP(head) && SLOT(head).state == FREE && tail > head && MAY_SKIP ->
#ifdef SKIP_BY_STORE
     SLOT(head).state = SKIPPED
#else
     d_step {
       if
       :: SLOT(head).state == FREE ->
          SLOT(head).state = SKIPPED;
#ifdef LIVE
          skips[owner[head]]++
#endif
       :: else -> skip
       fi
     }
#endif
  :: SLOT(head).lap == LAP(head) && SLOT(head).state == SKIPPED ->
     head++;
     OR_CRASH;
     free_slot(head - 1)
#ifdef SUCCESSOR
  /* lanes of the dead: noticed, then given back once everything below the tail of that moment was passed */
#ifdef REUSE_BEFORE_FENCING
  :: lane[0].life == 1 && lane[0].noticed == 0 -> lane[0].noticed = tail + 1
#else
  :: dead[lane[0].life] && lane[0].noticed == 0 -> lane[0].noticed = tail + 1
#endif
  :: dead[lane[1].life] && lane[1].noticed == 0 -> lane[1].noticed = tail + 1
  :: !joined && lane[0].noticed > 0 && head + 1 >= lane[0].noticed && lane[0].life != 0 ->
     d_step { lane[0].acknowledged = 0; lane[0].consumed = 0; lane[0].life = 0 }
  :: !joined && lane[1].noticed > 0 && head + 1 >= lane[1].noticed && lane[1].life != 0 ->
     d_step { lane[1].acknowledged = 0; lane[1].consumed = 0; lane[1].life = 0 }
#endif
  :: ended == LIVES && head == tail ->
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
#ifdef SUCCESSOR
    run successor();
#endif
    run consumer()
  }
}

#ifdef LIVE
/* 1 lives: all of its records are handled, whatever 2 does. */
ltl every_record_of_the_living_is_handled { <> (handled[1] == RECORDS) }
#endif
