"""Lists of words for the demo corpus.

The words of topics are in `topics.py`. Words of harmful-style requests are in `requests.py`, with
their splits.
"""

from __future__ import annotations


def words_of(text: str) -> tuple[str, ...]:
    """The distinct words of `text`, in order."""
    return tuple(dict.fromkeys(text.split()))


NAMES = words_of(
    """Anna Ben Clara David Emma Felix Grace Henry Iris Jack Kate Leo Mia Noah Olga Paul Quinn
    Rosa Sam Tara Umar Vera Will Xena Yara Zack Lily Tom Lucy Max Ella Hugo Ivy Oscar Nina Ravi
    Sofia Theo Aisha Boris Carmen Diego Elena Fatima George Hana Ivan Julia Karim Lena Marco
    Nadia Omar Petra Rashid Sara Tariq Ursula Victor Wendy Yusuf Zoe Alice Bruno Cora Dmitri
    Edith Frank Gloria Hassan Ingrid Jonas Kira Lars Maya Nils Otto Priya Ruth Stefan Tessa Uma
    Vince Walter Ximena Yvonne Zara Amir Bella Carl Dora Eric Fiona Gustav Helen Isaac Jane
    Kofi Laura Mona Nora Pablo Rita Simon Thea Uri Viola Wanda Yann Zelda"""
)
PLACES = words_of(
    """park forest beach kitchen school garden library market village castle river mountain
    harbour museum farm bakery station hospital theatre bridge valley island meadow cave
    lighthouse desert palace workshop stadium cafe zoo orchard temple tower cottage attic
    cellar barn pond swamp jungle canyon glacier square alley church mill mine quarry vineyard
    greenhouse playground classroom office factory airport tunnel canal dock pier bookshop
    courtyard riverbank hilltop hallway basement stable windmill waterfall courthouse gallery
    hostel lobby ballroom campsite"""
)
OBJECTS = words_of(
    """ball lamp book kite cup hat box chair table clock key drum doll shoe coat spoon pencil
    basket mirror ladder rope bottle candle blanket pillow broom bucket camera guitar violin
    piano whistle bell flag map compass lantern umbrella wallet ring necklace crown helmet
    shield boat wagon bicycle train truck plane rocket robot puzzle painting statue vase carpet
    curtain brush hammer nail saw shovel rake kettle pan plate bowl fork jar jug tray towel
    soap comb scarf glove sock boot belt button needle thread ribbon balloon marble coin stamp
    letter envelope notebook magazine newspaper radio phone computer keyboard battery engine
    wheel tyre fence gate door window roof chimney shelf drawer cupboard sofa bench stool desk
    bed cradle tent hammock kayak canoe sled skate ski racket bat net dart dice card chess
    telescope microscope magnet spring gear pump pipe valve lens prism apron bracelet brooch
    calendar cane chest crayon cushion easel feather flute folder funnel goggles harness hinge
    hook jacket jigsaw knob ladle lid mop mug napkin oar paddle padlock parasol postcard pulley
    purse quilt rug ruler sandal sieve slipper spade sponge stapler suitcase sweater tablecloth
    teapot thermos toaster tripod trolley tweezers vest wardrobe whisk wrench yoyo zipper"""
)
ANIMALS = words_of(
    """dog cat bird fish horse cow pig sheep goat duck hen fox wolf bear rabbit mouse squirrel
    owl eagle crow swan frog toad snake lizard turtle whale dolphin shark crab lobster octopus
    bee ant spider butterfly moth beetle lion tiger elephant giraffe zebra monkey parrot
    penguin camel donkey hedgehog badger otter beaver deer moose kangaroo koala panda hamster
    goose turkey alpaca antelope baboon bison buffalo canary cheetah chicken chipmunk cobra
    cricket dragonfly falcon ferret flamingo gazelle gecko gorilla hare hawk heron hippo hyena
    iguana jackal jaguar kitten ladybird lemur leopard llama lynx magpie mole ostrich peacock
    pelican pigeon pony porcupine puppy quail raccoon raven reindeer rhino robin salamander
    seal skunk sloth snail sparrow stork tortoise vulture walrus wasp weasel woodpecker worm
    yak"""
)
FOODS = words_of(
    """bread cake pie soup salad pasta rice cheese apple pear plum peach cherry grape lemon
    orange banana melon berry carrot potato tomato onion pepper bean pea corn mushroom pumpkin
    cabbage spinach garlic butter honey jam sugar salt flour milk tea coffee juice pizza
    sandwich omelette pancake waffle muffin biscuit cookie chocolate pudding stew curry noodle
    dumpling sausage burger taco sushi yoghurt cereal porridge walnut almond apricot artichoke
    asparagus avocado bagel barley basil broccoli brownie burrito caramel casserole cashew
    celery chutney cinnamon coconut couscous cracker cream croissant cucumber custard date
    doughnut fig ginger granola gravy hazelnut kebab kiwi lasagne leek lentil lettuce lime
    mango marmalade meatball mint mustard nutmeg oatmeal olive oregano papaya paprika parsley
    parsnip peanut pickle pineapple pistachio popcorn pretzel quiche radish raisin raspberry
    risotto rosemary saffron salsa sorbet strawberry syrup tart thyme toast toffee tofu
    tortilla truffle turnip vanilla vinegar watermelon wheat"""
)
ADJECTIVES = words_of(
    """big small red blue green yellow old new bright dark shiny soft hard heavy light tall
    short quick slow warm cold loud quiet clean dirty round square smooth rough sharp dull
    sweet sour fresh strange funny clever brave gentle kind wise young tiny huge long thin
    thick wooden golden silver broken fancy plain pretty ugly rare common magic secret hidden
    empty full wet dry sticky fluffy spotted striped purple pink brown grey white black ancient
    beautiful bent blank bold bronze bumpy calm careful charming cheerful clear clumsy
    colourful comfortable crisp crooked curious curly damp delicate dusty elegant enormous
    faded famous fierce flat fragile friendly frosty furry glossy graceful grand gloomy greasy
    handsome hollow honest humble icy jolly lazy leafy little lonely lovely lucky massive
    modern muddy mysterious narrow noisy odd pale patient peaceful perfect playful polite
    precious proud quaint ragged royal rusty scarlet shabby shallow simple sleepy slender
    slippery solid sparkling spicy splendid stiff strong sturdy stubborn tender thirsty tidy
    tough twisted unusual velvet violet weak wide wild woollen worn"""
)
ADVERBS = words_of(
    """slowly quickly quietly loudly gently carefully suddenly happily sadly bravely kindly
    politely eagerly proudly softly warmly calmly cheerfully cleverly gladly gracefully lazily
    neatly nervously patiently rapidly silently smoothly steadily swiftly wisely boldly"""
)
JOBS = words_of(
    """teacher doctor baker farmer sailor soldier painter singer dancer writer nurse pilot
    driver cook gardener builder plumber tailor judge lawyer scientist engineer librarian
    astronaut detective king queen prince princess wizard knight pirate merchant hunter
    fisherman shepherd blacksmith carpenter actor architect artist barber beekeeper butcher
    butler captain cashier chemist clerk clown coach composer dentist diver editor electrician
    explorer firefighter florist geologist governor grocer guide inventor jeweller juggler
    journalist locksmith magician mason mayor mechanic miner musician optician pharmacist
    philosopher photographer poet postman potter professor ranger reporter sculptor secretary
    surgeon translator waiter weaver"""
)
WEATHER = words_of(
    "sunny rainy windy cloudy snowy foggy stormy chilly hot misty frosty humid mild breezy"
)
TIMES = (
    *(
        "one day",
        "one morning",
        "last night",
        "yesterday",
        "in the evening",
        "on Monday",
        "on Friday",
        "in spring",
    ),
    *(
        "in winter",
        "long ago",
        "after lunch",
        "before dawn",
        "at noon",
        "on Sunday",
        "in summer",
        "last week",
    ),
    *("at midnight", "early in the morning", "in autumn", "on Tuesday"),
)
MONTHS = words_of(
    "January February March April May June July August September October November December"
)

# What someone with each feeling did.
FEELINGS = {
    "happy": words_of("smiled laughed danced cheered sang"),
    "sad": words_of("cried sighed wept sobbed frowned"),
    "angry": words_of("shouted stamped growled yelled scowled"),
    "scared": words_of("trembled hid shivered screamed ran"),
    "proud": words_of("grinned beamed boasted clapped bowed"),
    "tired": words_of("yawned slept rested dozed napped"),
    "curious": words_of("stared wondered asked looked peeked"),
    "surprised": words_of("gasped blinked jumped paused froze"),
    "bored": words_of("fidgeted slouched mumbled shrugged waited"),
    "thankful": words_of("nodded hugged waved thanked kissed"),
}
# (present, past) of verbs that take an object.
VERBS = tuple(
    (pair.split("/")[0], pair.split("/")[1])
    for pair in words_of(
        """find/found see/saw take/took carry/carried drop/dropped hold/held want/wanted
        lose/lost hide/hid buy/bought sell/sold give/gave throw/threw catch/caught fix/fixed
        paint/painted wash/washed push/pushed pull/pulled open/opened close/closed lift/lifted
        draw/drew make/made bring/brought keep/kept share/shared borrow/borrowed
        return/returned show/showed clean/cleaned polish/polished build/built move/moved
        touch/touched shake/shook wrap/wrapped admire/admired balance/balanced
        collect/collected count/counted cover/covered decorate/decorated deliver/delivered
        describe/described discover/discovered drag/dragged examine/examined exchange/exchanged
        fold/folded guard/guarded inspect/inspected invent/invented measure/measured
        mend/mended notice/noticed offer/offered pack/packed photograph/photographed
        pick/picked place/placed receive/received repair/repaired replace/replaced
        rescue/rescued roll/rolled save/saved search/searched send/sent spin/spun store/stored
        test/tested toss/tossed trade/traded weigh/weighed"""
    )
)
FUNCTIONS = words_of(
    """add sub mul count find load save parse read write sort merge filter map get set check
    update remove insert push pop build render print format scale clip norm mean sum max min
    append apply assign cache call compute convert copy create decode delete draw encode export
    fetch flatten group hash import index init join log lookup match move open pack query
    reduce reset resize reverse rotate run scan search select send shift shuffle slice split
    start stop store swap trim unpack validate visit wrap zip"""
)
VARIABLES = words_of(
    """x y z a b c n i j k value item data result total index name path size count left right
    node key text line width height score weight flag buffer queue stack list table row col
    array batch block byte cell char child config cursor depth digit edge entry error event
    field file first frame graph header input label last length level limit matrix message mode
    offset option output page parent pixel pointer prefix query range ratio record root seed
    shape source state step string suffix target task timer token tree tuple user vector vertex
    word"""
)
MODULES = words_of(
    "os sys math json re time random csv copy string itertools functools collections pathlib "
    "logging"
)

COUNTRIES = {
    pair.split("=")[0].replace("_", " "): pair.split("=")[1].replace("_", " ")
    for pair in words_of(
        """France=Paris Germany=Berlin Italy=Rome Spain=Madrid Portugal=Lisbon Greece=Athens
        Poland=Warsaw Austria=Vienna Hungary=Budapest Norway=Oslo Sweden=Stockholm
        Finland=Helsinki Denmark=Copenhagen Ireland=Dublin Belgium=Brussels Iceland=Reykjavik
        Russia=Moscow Ukraine=Kyiv Romania=Bucharest Bulgaria=Sofia Serbia=Belgrade
        Croatia=Zagreb Slovenia=Ljubljana Slovakia=Bratislava Estonia=Tallinn Latvia=Riga
        Lithuania=Vilnius Albania=Tirana Malta=Valletta Cyprus=Nicosia Turkey=Ankara
        England=London Scotland=Edinburgh Wales=Cardiff Egypt=Cairo Morocco=Rabat Tunisia=Tunis
        Algeria=Algiers Libya=Tripoli Kenya=Nairobi Ghana=Accra Nigeria=Abuja
        Ethiopia=Addis_Ababa Uganda=Kampala Rwanda=Kigali Senegal=Dakar Mali=Bamako
        Angola=Luanda Zambia=Lusaka Zimbabwe=Harare Mozambique=Maputo Madagascar=Antananarivo
        Namibia=Windhoek Botswana=Gaborone China=Beijing Japan=Tokyo India=Delhi
        Nepal=Kathmandu Pakistan=Islamabad Bangladesh=Dhaka Thailand=Bangkok Vietnam=Hanoi
        Cambodia=Phnom_Penh Laos=Vientiane Indonesia=Jakarta Malaysia=Kuala_Lumpur
        Philippines=Manila Mongolia=Ulaanbaatar Iran=Tehran Iraq=Baghdad Syria=Damascus
        Lebanon=Beirut Jordan=Amman Qatar=Doha Oman=Muscat Kuwait=Kuwait_City Georgia=Tbilisi
        Armenia=Yerevan Azerbaijan=Baku Canada=Ottawa Cuba=Havana Jamaica=Kingston
        Haiti=Port-au-Prince Brazil=Brasilia Argentina=Buenos_Aires Chile=Santiago Peru=Lima
        Colombia=Bogota Venezuela=Caracas Ecuador=Quito Uruguay=Montevideo Paraguay=Asuncion
        Bolivia=Sucre Australia=Canberra Fiji=Suva Samoa=Apia Tonga=Nukualofa"""
    )
}
