#include <string.h>

#include "llm_guard_core.h"


/* a power of two, and twice as many as there are words or more */
#define LLM_GUARD_SLOTS  8192

#define LLM_GUARD_TYPO   4              /* shorter words have no typos */
#define LLM_GUARD_LONG   8


typedef struct {
    uint32_t              hash;
    uint32_t              id;
    uint32_t              value;
    uint32_t              side;
    uint32_t              words;
} llm_guard_entry_t;


/*
 * Words parted by spaces; a "=" joins synonyms, whose id is the first's, a "/"
 * opposites, whose value is the first's id; a ":" comes before what a number
 * word stands for.
 */

typedef struct {
    uint32_t              words;
    const char           *list;
} llm_guard_list_t;


static void llm_guard_fill(void);
static const char *llm_guard_fill_word(const llm_guard_list_t *list,
    const char *p, uint32_t *first, uint32_t *family);
static llm_guard_entry_t *llm_guard_slot(uint32_t hash);
static size_t llm_guard_stem(const llm_token_t *token);
static int llm_guard_edit(const unsigned char *a, size_t n,
    const unsigned char *b, size_t m);
static int llm_guard_swap(const unsigned char *a, const unsigned char *b,
    size_t n, size_t i);
static int llm_guard_is_vowel(unsigned char c);


static llm_guard_entry_t  llm_guard_table[LLM_GUARD_SLOTS];
static int                llm_guard_filled;


static const llm_guard_list_t  llm_guard_lists[] = {

    { LLM_WORD_STOP,
      "a an the this that these those there here such some any it its itself "
      "please pls plz kindly thanks thank thx tell teh thats theres heres "
      "so then also really actually basically very quite "
      "im ive id well ok okay hi hello hey as be been being am get got "
      "mean means called" },

    { LLM_WORD_STOP|LLM_WORD_AUX,
      "is are isnt arent do does has have having s" },
    { LLM_WORD_STOP|LLM_WORD_AUX|LLM_WORD_PAST, "was were did had used" },
    { LLM_WORD_STOP|LLM_WORD_AUX|LLM_WORD_FUTURE,
      "will=shall=ll gonna=going" },
    { LLM_WORD_STOP|LLM_WORD_AUX|LLM_WORD_MODAL,
      "can=could should=ought must=need may=might would" },

    { LLM_WORD_STOP|LLM_WORD_ASK,
      "what=which=whats=wat who=whos=whom whose when=whens where=wheres "
      "why=whys how=hows=hwo" },

    /* pronouns */

    { 0,
      "i=me=my=mine=myself you=your=yours=yourself=u=ur he=him=his=himself "
      "she=her=hers=herself we=us=our=ours=ourselves "
      "they=them=their=theirs=themselves" },

    { LLM_WORD_STOP|LLM_WORD_AND, "and=plus vs=versus" },
    { LLM_WORD_POLAR|LLM_WORD_AND, "or" },

    { LLM_WORD_STOP|LLM_WORD_PREP,
      "of in on at about for within inside during near around among like "
      "regarding concerning" },
    { LLM_WORD_STOP|LLM_WORD_PREP|LLM_WORD_HARD,
      "to=into=onto=toward=towards from than by with against through across "
      "between via per since until=till because" },
    { LLM_WORD_POLAR|LLM_WORD_PREP|LLM_WORD_HARD,
      "over under above below=beneath before=prior after=following behind "
      "beyond" },
    { LLM_WORD_POLAR, "outside up down out off" },

    { LLM_WORD_NUMBER,
      "zero:0 one:1 two:2 three:3 four:4 five:5 six:6 seven:7 eight:8 nine:9 "
      "ten:10 eleven:11 twelve:12 dozen:12 thirteen:13 fourteen:14 "
      "fifteen:15 sixteen:16 seventeen:17 eighteen:18 nineteen:19 twenty:20 "
      "thirty:30 forty:40 fourty:40 fifty:50 sixty:60 seventy:70 eighty:80 "
      "ninety:90 first:1 second:2 third:3 fourth:4 fifth:5 sixth:6 "
      "seventh:7 eighth:8 ninth:9 tenth:10 eleventh:11 twelfth:12 single:1 "
      "twice:2 double:2 both:2 couple:2 pair:2 thrice:3 triple:3 "
      "half:1000000002 quarter:1000000004" },
    { LLM_WORD_NUMBER|LLM_WORD_SCALE,
      "hundred:100 thousand:1000 million:1000000 billion:1000000000" },

    { LLM_WORD_DATE,
      "january=jan february=feb march april=apr june=jun july=jul "
      "august=aug september=sep=sept october=oct november=nov december=dec "
      "monday=mon=mondays tuesday=tue=tues=tuesdays wednesday=wed=wednesdays "
      "thursday=thu=thur=thurs=thursdays friday=fri=fridays "
      "saturday=saturdays sunday=sundays today=todays yesterday=yesterdays "
      "tomorrow=tomorrows=tommorow=tomorow tonight=tonights "
      "now=currently=presently=nowadays ago "
      "next last=previous current=present recent=recently latest=newest "
      "past future morning=mornings afternoon=afternoons evening=evenings "
      "night=nights noon midnight weekend=weekends weekday=weekdays "
      "spring summer autumn=fall winter century=centuries decade=decades "
      "am=a.m pm=p.m bc=bce ad=ce christmas=xmas easter halloween ramadan "
      "annual=annually=yearly monthly weekly daily hourly quarterly" },

    { LLM_WORD_UNIT,
      "kilometer=kilometers=kilometre=kilometres=km=kms "
      "meter=meters=metre=metres "
      "centimeter=centimeters=centimetre=centimetres=cm "
      "millimeter=millimeters=millimetre=millimetres=mm "
      "mile=miles yard=yards foot=feet=ft inch=inches "
      "kilogram=kilograms=kg=kgs gram=grams milligram=milligrams=mg "
      "ton=tons tonne=tonnes pound=pounds=lb=lbs ounce=ounces=oz "
      "liter=liters=litre=litres milliliter=milliliters=millilitre=ml "
      "gallon=gallons pint=pints quart=quarts cup=cups "
      "tablespoon=tablespoons=tbsp teaspoon=teaspoons=tsp "
      "celsius=centigrade fahrenheit kelvin degree=degrees "
      "percent=percentage dollar=dollars=usd euro=euros=eur "
      "yen=jpy rupee=rupees=inr yuan=rmb franc=francs cent=cents "
      "bitcoin=bitcoins=btc "
      "seconds=secs=sec minute=minutes=min=mins hour=hours=hr=hrs "
      "day=days week=weeks month=months year=years=yr=yrs "
      "millisecond=milliseconds=ms "
      "bit=bits byte=bytes kilobyte=kilobytes=kb megabyte=megabytes=mb "
      "gigabyte=gigabytes=gb terabyte=terabytes=tb mbps gbps "
      "watt=watts kilowatt=kilowatts=kw volt=volts amp=amps=ampere=amperes "
      "ohm=ohms joule=joules calorie=calories=kcal hertz=hz mhz ghz khz "
      "acre=acres hectare=hectares mph kph=kmh knot=knots "
      "radian=radians pascal=pascals psi bar=bars newton=newtons" },

    { LLM_WORD_NEGATION,
      "not=no=cannot=cant=dont=doesnt=didnt=isnt=arent=wasnt=werent=wont="
      "wouldnt=couldnt=shouldnt=hasnt=havent=hadnt=mustnt=aint "
      "never without none=nobody=nothing=nowhere neither=nor "
      "except=excluding unless hardly=barely=scarcely lack=lacks "
      "avoid=avoids=avoiding prevent=prevents=preventing "
      "exclude=excludes fail=fails=failed refuse=refuses" },

    { LLM_WORD_POLAR,
      "more most less least fewer fewest better best=top worse worst "
      "bigger=larger=greater biggest=largest=greatest smaller smallest "
      "taller tallest shorter shortest longer longest higher highest "
      "lower lowest faster=quicker fastest=quickest slower slowest older "
      "oldest younger youngest newer newest cheaper cheapest richer richest "
      "poorer poorest stronger strongest weaker weakest heavier heaviest "
      "lighter lightest easier easiest harder hardest earlier earliest later "
      "nearest=closest nearer=closer farther=further farthest deeper deepest "
      "wider widest narrower thicker thinner brighter brightest darker "
      "darkest louder loudest quieter safer safest hotter hottest colder "
      "coldest warmer warmest cooler drier wetter maximum minimum only=just "
      "too enough almost=nearly exactly=precisely "
      "north south east west left right good=great bad" },

    /* opposites: one of them in one text, another one in the other */

    { LLM_WORD_OPPOSITE,
      "increase=increases=increasing=increased=raise=raises=raising=gain="
      "gains/decrease=decreases=decreasing=decreased=reduce=reduces="
      "reducing=reduced=lower=lowering=lose=loses=losing=loss=drop/"
      "maintain=keep "
      "maximum=max=maximize=maximise/minimum=min=minimize=minimise "
      "enable=enables=enabled=enabling=activate/disable=disables=disabled="
      "disabling=deactivate "
      "open=opens=opening/close=closes=closing=shut "
      "start=starts=starting=begin=begins=beginning/stop=stops=stopping="
      "end=ends=ending=finish/pause/resume/restart "
      "buy=buys=buying=purchase=buyer/sell=sells=selling=seller=sale/rent "
      "win=wins=winning=won/lost "
      "upload=uploads=uploading/download=downloads=downloading "
      "encrypt=encrypts=encrypting=encryption/decrypt=decrypts=decrypting="
      "decryption "
      "encode=encodes=encoding/decode=decodes=decoding "
      "compress=compresses/decompress=decompresses=extract "
      "add=adds=adding=create=creates=creating=insert=inserts=inserting/"
      "remove=removes=removing=delete=deletes=deleting=drop "
      "install=installs=installing/uninstall=uninstalls=uninstalling/"
      "upgrade=upgrading=update/downgrade=downgrading "
      "lock=locks=locking/unlock=unlocks=unlocking "
      "push=pushes=pushing/pull=pulls=pulling "
      "import=imports=importing/export=exports=exporting "
      "send=sends=sending=sent/receive=receives=receiving=received=recieve "
      "read=reads=reading/write=writes=writing=wrote "
      "login=signin/logout=signout "
      "connect=connects=connecting/disconnect=disconnects=disconnecting "
      "profit=profits/losses "
      "ascending/descending left/right north=northern/south=southern/"
      "east=eastern/west=western "
      "top=upper/bottom/middle=center=centre "
      "male=males=men=man=boy=boys/female=females=women=woman=girl=girls "
      "child=children=kid=kids=toddler=baby/adult=adults=teenager=teenagers "
      "mother=mom=mum=mothers/father=dad=fathers "
      "son=sons/daughter=daughters brother=brothers/sister=sisters "
      "husband/wife king/queen positive/negative legal/illegal true/false "
      "always/sometimes/often=frequently/rarely=seldom "
      "possible/impossible same=similar/different=opposite "
      "advantage=advantages=pros=benefit=benefits=strengths/"
      "disadvantage=disadvantages=cons=risks=risk=drawbacks=weaknesses "
      "cause=causes/symptom=symptoms/effect=effects/treatment=treatments="
      "cure/prevention/diagnosis "
      "internal=inner/external=outer input=inputs/output=outputs "
      "public/private local/global=remote hardware/software indoor/outdoor "
      "born=birth/died=die=dies=death=dead/married=marry/divorced=divorce "
      "employer/employee lend/borrow=borrowing "
      "give=gives=giving/take=takes=taking "
      "teach=teaching/learn=learning attack/defend=defense "
      "accept=accepts/reject=rejects=decline "
      "allow=allows=permit=permits/forbid=forbids=block=blocks=deny "
      "love=loves/hate=hates horizontal/vertical odd/even serial/parallel "
      "synchronous=sync/asynchronous=async forward=forwards/"
      "backward=backwards rise=rises=rising/fall=falls=falling "
      "tenant/landlord debit/credit acid=acidic/base=basic=alkaline "
      "solid/liquid/gas all=every=each/some/few many/none "
      "breakfast/lunch/dinner hot=warm/cold=cool/mild "
      "expensive=costly/cheap=affordable happy/sad clean/dirty "
      "safe/dangerous=unsafe simple=easy/complex=difficult=hard wet/dry "
      "full/empty fast=quick=quickly/slow=slowly young/old strong/weak "
      "rich=wealthy/poor tall=high/short=low light/heavy bright/dark "
      "loud/quiet=silent deep/shallow wide/narrow thick/thin "
      "sunrise/sunset sender/recipient client/server encoder/decoder "
      "singular/plural mean/median/mode=modal numerator/denominator "
      "latitude/longitude vertical/horizontal red/blue/green/yellow/black/"
      "white/orange/purple/pink/brown/grey=gray "
      "spring=springs multiply=multiplied/divide=divided=dividing/"
      "subtract=subtracted minus/times "
      "hypo/hyper arrival=arrive=arrives/departure=depart=departs=leave="
      "leaves "
      "question=questions/answer=answers lossy/lossless "
      "domestic/international freshwater/saltwater "
      "mutable/immutable stateful/stateless signed/unsigned "
      "static/dynamic row=rows/column=columns client-side/server-side "
      "prefix/suffix parent=parents/sibling=siblings "
      "dog=dogs/cat=cats/bird=birds/fish/horse=horses/rabbit=rabbits "
      "boil=boiled=boiling/fry=fried=frying/bake=baked=baking/"
      "grill=grilled=grilling/steam=steamed=steaming/roast=roasted "
      "beef/chicken/pork/lamb/turkey coffee/tea "
      "android/ios windows/linux/macos=mac/ubuntu "
      "python/java/javascript/ruby/rust/golang=go/kotlin/php/perl/scala "
      "mysql/postgresql=postgres/sqlite/mongodb json/yaml/xml/csv/toml "
      "oil/butter english/french/spanish/german/italian/chinese/japanese/"
      "korean/russian/portuguese/arabic/hindi " },

    /* words that are a typo away from each other */

    { LLM_WORD_CONFUSED,
      "adopt adapt adoption adaption adaptation affect effect accept expect "
      "formally formerly historic economic complement compliment "
      "stationary stationery principal principle proceed precede conscious "
      "conscience elicit illicit emigrate immigrate emigration immigration "
      "eminent imminent immanent allusion illusion delusion personal "
      "personnel moral morale human humane perspective prospective "
      "prescribe proscribe persecute prosecute respectfully respectively "
      "interstate intrastate hypertension hypotension hyperglycemia "
      "hypoglycemia hyperthyroidism hypothyroidism hyperthermia hypothermia "
      "internet intranet mitosis meiosis austria australia iran iraq niger "
      "nigeria slovakia slovenia latvia lithuania zambia gambia mali malawi "
      "colombia columbia insulin inulin cation anion ureter urethra ilium "
      "ileum alkane alkene alkyne nitrate nitrite sulfate sulfite sulfide "
      "ethanol methanol ethane methane glucose glucagon median medium medial "
      "desert dessert diner dinner later latter loose lose hoping hopping "
      "planed planned scared scarred super supper coma comma angel angle "
      "quite quiet trail trial casual causal martial marital united untied "
      "form from diary dairy calvary cavalry marine martian sacred scared "
      "barley barely silver sliver reserve reverse preserve perverse "
      "conserve converse contract contrast contact contest context content "
      "compile comply command commend comment commit collect correct connect "
      "convert convent invert invest inspect insect infect infest detect "
      "defect reflect deflect inflection infection induction deduction "
      "reduction production conduction instruction construction destruction "
      "obstruction inductive deductive dependent dependant except access "
      "excess assess process progress congress digress regress addition "
      "edition addiction condition diction fiction friction fraction traction "
      "attraction distraction detraction extraction abstraction subtraction "
      "transaction translation transition transmission transcription "
      "transformation information formation reformation population "
      "pollution solution dilution evolution revolution devolution "
      "resolution absolution convolution involution" }
};


uint32_t
llm_guard_hash(const void *data, size_t len)
{
    size_t                i;
    uint32_t              hash;
    const unsigned char  *p;

    p = data;
    hash = 0x811c9dc5u;

    for (i = 0; i < len; i++) {
        hash = (hash ^ p[i]) * 0x01000193u;
    }

    return hash ? hash : 1;
}


void
llm_guard_lookup(llm_token_t *token)
{
    uint32_t            hash;
    llm_guard_entry_t  *entry;

    if (!llm_guard_filled) {
        llm_guard_fill();
    }

    hash = llm_guard_hash(token->word, token->len);
    entry = llm_guard_slot(hash);

    token->id = hash;

    if (entry->hash == hash) {
        token->id = entry->id;
        token->words = entry->words;
        token->value = entry->value;
        token->side = entry->side;
    }
}


uint32_t
llm_guard_id(const char *word)
{
    return llm_guard_hash(word, strlen(word));
}


static void
llm_guard_fill(void)
{
    size_t       i;
    uint32_t     first, family;
    const char  *p;

    for (i = 0; i < sizeof(llm_guard_lists) / sizeof(llm_guard_lists[0]); i++)
    {
        first = 0;
        family = 0;

        for (p = llm_guard_lists[i].list; *p; /* void */ ) {
            p = llm_guard_fill_word(&llm_guard_lists[i], p, &first, &family);
        }
    }

    llm_guard_filled = 1;
}


/* a word that is in several lists is all of it, and the first's synonym */

static const char *
llm_guard_fill_word(const llm_guard_list_t *list, const char *p,
    uint32_t *first, uint32_t *family)
{
    size_t              len;
    uint32_t            hash;
    llm_guard_entry_t  *entry;

    len = strcspn(p, " =/:");
    hash = llm_guard_hash(p, len);

    *first = *first ? *first : hash;
    *family = *family ? *family : hash;

    entry = llm_guard_slot(hash);

    if (entry->hash == 0) {
        entry->hash = hash;
        entry->id = *first;
    }

    if (entry->value == 0 && (list->words & LLM_WORD_OPPOSITE)) {
        entry->value = *family;
        entry->side = *first;
    }

    entry->words |= list->words;

    p += len;

    if (*p == ':') {
        for (p++; *p >= '0' && *p <= '9'; p++) {
            entry->value = entry->value * 10 + (uint32_t) (*p - '0');
        }
    }

    if (*p == '/' || *p == ' ') {
        *first = 0;
    }

    if (*p == ' ') {
        *family = 0;
    }

    return *p ? p + 1 : p;
}


/* the word's, or the empty one where it would be */

static llm_guard_entry_t *
llm_guard_slot(uint32_t hash)
{
    uint32_t  i;

    for (i = hash % LLM_GUARD_SLOTS;
         llm_guard_table[i].hash != 0 && llm_guard_table[i].hash != hash;
         i = (i + 1) % LLM_GUARD_SLOTS)
    {
        /* void */
    }

    return &llm_guard_table[i];
}


/*
 * Few typos are certain to be none of another word: two letters swapped, a
 * letter doubled or not, a wrong vowel or a missing letter in a long word; and
 * none in the first letter or the last ones, which make other words.
 */

int
llm_guard_typo(const llm_token_t *a, const llm_token_t *b)
{
    size_t  n, m;

    if (a->name || b->name || a->whole || b->whole) {
        return 0;
    }

    n = llm_guard_stem(a);
    m = llm_guard_stem(b);

    if (n == m && memcmp(a->word, b->word, n) == 0) {
        return 1;
    }

    if (((a->words | b->words) & ~(uint32_t) LLM_WORD_CONFUSED)
        || (a->words & b->words)
        || n < LLM_GUARD_TYPO || m < LLM_GUARD_TYPO
        || a->word[0] != b->word[0])
    {
        return 0;
    }

    return n >= m ? llm_guard_edit(a->word, n, b->word, m)
                  : llm_guard_edit(b->word, m, a->word, n);
}


/* without an "s" of the plural */

static size_t
llm_guard_stem(const llm_token_t *token)
{
    size_t                n;
    const unsigned char  *p;

    n = token->len;
    p = token->word;

    if (n > 3 && p[n - 1] == 's'
        && p[n - 2] != 's' && p[n - 2] != 'u' && p[n - 2] != 'i')
    {
        n--;
    }

    return n;
}


/* "a" is not the shorter one; ASCII letters only */

static int
llm_guard_edit(const unsigned char *a, size_t n, const unsigned char *b,
    size_t m)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (a[i] < 'a' || a[i] > 'z' || (i < m && (b[i] < 'a' || b[i] > 'z')))
        {
            return 0;
        }
    }

    for (i = 0; i < m && a[i] == b[i]; i++) { /* void */ }

    if (i + 2 > n || i == 0) {
        return 0;
    }

    if (n == m) {

        if (llm_guard_swap(a, b, n, i)) {
            return 1;
        }

        return n >= LLM_GUARD_LONG && i + 3 < n
               && llm_guard_is_vowel(a[i]) && llm_guard_is_vowel(b[i])
               && memcmp(a + i + 1, b + i + 1, n - i - 1) == 0;
    }

    if (n != m + 1 || memcmp(a + i + 1, b + i, m - i) != 0) {
        return 0;
    }

    return (a[i] == a[i - 1] && n > LLM_GUARD_TYPO + 1)
           || (n > LLM_GUARD_LONG && i > 1 && i + 2 < n);
}


static int
llm_guard_swap(const unsigned char *a, const unsigned char *b, size_t n,
    size_t i)
{
    return i + 2 < n
           && a[i] == b[i + 1] && a[i + 1] == b[i]
           && memcmp(a + i + 2, b + i + 2, n - i - 2) == 0;
}


static int
llm_guard_is_vowel(unsigned char c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u'
           || c == 'y';
}


int
llm_guard_opposite(const llm_token_t *a, const llm_token_t *b)
{
    size_t              len;
    const char         *const *prefix;
    const llm_token_t  *swap;

    static const char  *const prefixes[] = {
        "un", "in", "im", "il", "ir", "dis", "non", "de", "mis", "anti", "a",
        "ab", "re", NULL
    };

    if (a->len < b->len) {
        swap = a;
        a = b;
        b = swap;
    }

    for (prefix = prefixes; *prefix; prefix++) {
        len = strlen(*prefix);

        if (b->len >= 3 && a->len == b->len + len
            && memcmp(a->word, *prefix, len) == 0
            && memcmp(a->word + len, b->word, b->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
